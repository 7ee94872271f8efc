using System.Globalization;

namespace Loom.Core.Toml;

/// <summary>Booleans and numbers; dates are recognised here and read by <see cref="TomlDates"/>.</summary>
internal static class TomlScalars
{
    /// <summary>Reads an unquoted value at the cursor.</summary>
    public static TomlValue Read(TomlCursor cursor)
    {
        var start = cursor.At;
        var first = cursor.Current;
        if (TomlDates.StartsHere(cursor))
        {
            return TomlDates.Read(cursor);
        }

        var end = start;
        while (end < cursor.Text.Length && IsWord(cursor.Text[end]))
        {
            end++;
        }

        var word = cursor.Text.AsSpan(start, end - start);
        TomlValue? value = word switch
        {
            "true" => new TomlBoolean(true),
            "false" => new TomlBoolean(false),
            "inf" or "+inf" => new TomlFloat(double.PositiveInfinity),
            "-inf" => new TomlFloat(double.NegativeInfinity),
            "nan" or "+nan" or "-nan" => new TomlFloat(double.NaN),
            _ => null,
        };
        value ??= first is '+' or '-' or '.' || char.IsAsciiDigit(first) ? Number(cursor, start, word) : throw Unexpected(cursor, first);
        cursor.At = end;
        return value;
    }

    private static TomlException Unexpected(TomlCursor cursor, char first) =>
        cursor.AtEnd || first is '\n' or '\r' or '#' ? cursor.Fail("a value is missing")
        : char.IsLetter(first) || first == '_' ? cursor.Fail("a text value needs quotes")
        : TomlCursor.IsControl(first) ? cursor.Fail($"control character {TomlCursor.Name(first)} is not allowed here")
        : cursor.Fail($"expected a value, found '{first}'");

    private static TomlValue Number(TomlCursor cursor, int start, ReadOnlySpan<char> word)
    {
        if (word.Length > 1 && word[0] == '0' && word[1] is 'x' or 'o' or 'b')
        {
            return new TomlInteger(Based(cursor, start, word));
        }

        var digits = word[0] is '+' or '-' ? word[1..] : word;
        var whole = Digits(digits);
        if (whole == 0)
        {
            throw cursor.Fail(start, word.Length, digits.IsEmpty || !char.IsLetter(digits[0]) ? "a number begins with a digit" : "a text value needs quotes");
        }

        if (whole > 1 && digits[0] == '0')
        {
            throw cursor.Fail(start, word.Length, "a number has no leading zeros");
        }

        var rest = digits[whole..];
        if (rest.IsEmpty)
        {
            return long.TryParse(Plain(word), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value)
                ? new TomlInteger(value)
                : throw cursor.Fail(start, word.Length, "the number does not fit into 64 bits");
        }

        if (rest[0] == '.')
        {
            var fraction = Digits(rest[1..]);
            rest = fraction == 0 ? throw cursor.Fail(start, word.Length, "digits must follow the point") : rest[(1 + fraction)..];
        }

        if (!rest.IsEmpty && rest[0] is 'e' or 'E')
        {
            rest = rest[1..];
            rest = !rest.IsEmpty && rest[0] is '+' or '-' ? rest[1..] : rest;
            var exponent = Digits(rest);
            rest = exponent == 0 ? throw cursor.Fail(start, word.Length, "digits must follow the e") : rest[exponent..];
        }

        return rest.IsEmpty
            ? new TomlFloat(double.Parse(Plain(word), NumberStyles.Float, CultureInfo.InvariantCulture))
            : throw cursor.Fail(start, word.Length, char.IsLetter(rest[0]) ? "a text value needs quotes" : "this is not a number");
    }

    private static long Based(TomlCursor cursor, int start, ReadOnlySpan<char> word)
    {
        var bits = word[1] switch { 'x' => 4, 'o' => 3, _ => 1 };
        ulong value = 0;
        var previous = '_';
        foreach (var c in word[2..])
        {
            if (c == '_' && previous != '_')
            {
                previous = c;
                continue;
            }

            var digit = char.IsAsciiHexDigit(c) ? Convert.ToInt32(c.ToString(), 16) : 99;
            if (digit >= 1 << bits)
            {
                throw cursor.Fail(start, word.Length, "a digit does not fit the base of this number");
            }

            value = value >> (63 - bits) == 0 ? (value << bits) | (uint)digit : throw cursor.Fail(start, word.Length, "the number does not fit into 64 bits");
            previous = c;
        }

        return previous != '_' ? (long)value : throw cursor.Fail(start, word.Length, "digits are missing");
    }

    // Length of a run of digits with single underscores between them; 0 when there is none.
    private static int Digits(ReadOnlySpan<char> text)
    {
        var i = 0;
        while (i < text.Length && (char.IsAsciiDigit(text[i]) || (text[i] == '_' && i > 0 && text[i - 1] != '_' && i + 1 < text.Length && char.IsAsciiDigit(text[i + 1]))))
        {
            i++;
        }

        return i;
    }

    private static string Plain(ReadOnlySpan<char> word) => word.ToString().Replace("_", "", StringComparison.Ordinal);

    private static bool IsWord(char c) => char.IsLetterOrDigit(c) || c is '_' or '+' or '-' or '.';
}
