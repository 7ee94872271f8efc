using System.Globalization;

namespace Loom.Harness.Architecture.Yaml;

/// <summary>The core schema of YAML 1.2: which plain scalars are no text. <c>yes</c>, <c>on</c> and dates are text.</summary>
internal static class CoreSchema
{
    public static ScalarType TypeOf(string text) => text switch
    {
        "" or "~" or "null" or "Null" or "NULL" => ScalarType.Null,
        "true" or "True" or "TRUE" or "false" or "False" or "FALSE" => ScalarType.Bool,
        ".nan" or ".NaN" or ".NAN" => ScalarType.Float,
        _ => Number(text),
    };

    /// <summary>The value of a scalar of type <see cref="ScalarType.Int"/>; null where 64 bits do not hold it.</summary>
    public static long? Int(string text)
    {
        if (text.StartsWith("0x", StringComparison.Ordinal))
        {
            return long.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var hex) && hex >= 0 ? hex : null;
        }

        if (text.StartsWith("0o", StringComparison.Ordinal))
        {
            return text.Length > 23 ? null : text.AsSpan(2).ToArray().Aggregate(0L, (sum, digit) => (sum * 8) + (digit - '0'));
        }

        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    /// <summary>The value of a scalar of type <see cref="ScalarType.Int"/> or <see cref="ScalarType.Float"/>.</summary>
    public static double Double(string text) => text.TrimStart('+', '-').ToLowerInvariant() switch
    {
        ".inf" => text[0] == '-' ? double.NegativeInfinity : double.PositiveInfinity,
        ".nan" => double.NaN,
        ['0', 'x' or 'o', ..] => Int(text) ?? double.NaN,
        _ => double.Parse(text, NumberStyles.Float, CultureInfo.InvariantCulture),
    };

    public static bool Bool(string text) => text[0] is 't' or 'T';

    private static ScalarType Number(ReadOnlySpan<char> text)
    {
        if (text is ['0', 'x', _, ..])
        {
            return text[2..].ContainsAnyExcept("0123456789abcdefABCDEF") ? ScalarType.Text : ScalarType.Int;
        }

        if (text is ['0', 'o', _, ..])
        {
            return text[2..].ContainsAnyExcept("01234567") ? ScalarType.Text : ScalarType.Int;
        }

        var rest = text[0] is '+' or '-' ? text[1..] : text;
        if (rest is ".inf" or ".Inf" or ".INF")
        {
            return ScalarType.Float;
        }

        var whole = Digits(ref rest);
        if (rest.IsEmpty)
        {
            return whole > 0 ? ScalarType.Int : ScalarType.Text;
        }

        var fraction = 0;
        if (rest[0] == '.')
        {
            rest = rest[1..];
            fraction = Digits(ref rest);
        }

        if (whole + fraction == 0)
        {
            return ScalarType.Text;
        }

        if (rest.IsEmpty)
        {
            return ScalarType.Float;
        }

        if (rest[0] is not ('e' or 'E'))
        {
            return ScalarType.Text;
        }

        rest = rest.Length > 1 && rest[1] is '+' or '-' ? rest[2..] : rest[1..];
        return Digits(ref rest) > 0 && rest.IsEmpty ? ScalarType.Float : ScalarType.Text;
    }

    private static int Digits(ref ReadOnlySpan<char> text)
    {
        var count = text.IndexOfAnyExceptInRange('0', '9');
        count = count < 0 ? text.Length : count;
        text = text[count..];
        return count;
    }
}
