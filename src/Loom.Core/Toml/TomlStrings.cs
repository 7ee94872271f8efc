using System.Globalization;
using System.Text;

namespace Loom.Core.Toml;

/// <summary>The four kinds of TOML text.</summary>
internal static class TomlStrings
{
    /// <summary>Reads text that stands at the cursor, which is at a quote.</summary>
    public static string Read(TomlCursor cursor)
    {
        var quote = cursor.Current;
        return cursor.Ahead(1) == quote && cursor.Ahead(2) == quote ? Multiline(cursor, quote) : SingleLine(cursor);
    }

    /// <summary>Reads text that may not span lines; the only form keys may have.</summary>
    public static string SingleLine(TomlCursor cursor)
    {
        var start = cursor.At;
        var quote = cursor.Current;
        cursor.At++;
        StringBuilder? built = null;
        var copied = cursor.At;
        for (; ; )
        {
            var c = cursor.Current;
            if (c == quote)
            {
                var text = cursor.Text.AsSpan(copied, cursor.At - copied);
                cursor.At++;
                return built is null ? text.ToString() : built.Append(text).ToString();
            }

            if (cursor.AtEnd || c is '\n' or '\r')
            {
                throw cursor.Fail(start, cursor.At - start, "the closing quote is missing on this line");
            }

            if (TomlCursor.IsControl(c))
            {
                throw cursor.Fail($"control character {TomlCursor.Name(c)} in text; write it as an escape");
            }

            if (c == '\\' && quote == '"')
            {
                built ??= new StringBuilder();
                built.Append(cursor.Text, copied, cursor.At - copied);
                Escape(cursor, built);
                copied = cursor.At;
            }
            else
            {
                cursor.At++;
            }
        }
    }

    private static string Multiline(TomlCursor cursor, char quote)
    {
        var start = cursor.At;
        cursor.At += 3;
        cursor.TakeLineEnd();
        var built = new StringBuilder();
        while (!cursor.AtEnd)
        {
            var c = cursor.Current;
            if (c == quote)
            {
                if (Closes(cursor, quote, built))
                {
                    return built.ToString();
                }
            }
            else if (c == '\\' && quote == '"')
            {
                if (!LineContinuation(cursor))
                {
                    Escape(cursor, built);
                }
            }
            else if (c == '\r' && cursor.Ahead(1) == '\n')
            {
                // A line end reads the same whatever the editor wrote.
                built.Append('\n');
                cursor.At += 2;
            }
            else if (c != '\n' && TomlCursor.IsControl(c))
            {
                throw cursor.Fail($"control character {TomlCursor.Name(c)} in text; write it as an escape");
            }
            else
            {
                built.Append(c);
                cursor.At++;
            }
        }

        throw cursor.Fail(start, 3, "this text has no closing quotes");
    }

    // Up to two quotes may stand directly before the closing three.
    private static bool Closes(TomlCursor cursor, char quote, StringBuilder built)
    {
        var quotes = 0;
        while (quotes < 6 && cursor.Ahead(quotes) == quote)
        {
            quotes++;
        }

        if (quotes == 6)
        {
            throw cursor.Fail(cursor.At, 6, "at most two quotes may stand before the closing three");
        }

        cursor.At += quotes;
        built.Append(quote, quotes >= 3 ? quotes - 3 : quotes);
        return quotes >= 3;
    }

    // A backslash at the end of a line swallows the line end and all blanks that follow.
    private static bool LineContinuation(TomlCursor cursor)
    {
        var at = cursor.At;
        cursor.At++;
        cursor.SkipBlanks();
        if (!cursor.TakeLineEnd())
        {
            cursor.At = at;
            return false;
        }

        do
        {
            cursor.SkipBlanks();
        }
        while (cursor.TakeLineEnd());
        return true;
    }

    private static void Escape(TomlCursor cursor, StringBuilder built)
    {
        var start = cursor.At;
        var c = cursor.Ahead(1);
        cursor.At += 2;
        switch (c)
        {
            case 'b':
                built.Append('\b');
                break;
            case 't':
                built.Append('\t');
                break;
            case 'n':
                built.Append('\n');
                break;
            case 'f':
                built.Append('\f');
                break;
            case 'r':
                built.Append('\r');
                break;
            case '"' or '\\':
                built.Append(c);
                break;
            case 'u':
                built.Append(Unicode(cursor, start, 4).ToString());
                break;
            case 'U':
                built.Append(Unicode(cursor, start, 8).ToString());
                break;
            default:
                cursor.At = start;
                throw cursor.Fail("unknown escape; write \\\\ for a backslash, or use single quotes", 2);
        }
    }

    private static Rune Unicode(TomlCursor cursor, int start, int digits)
    {
        if (cursor.At + digits > cursor.Text.Length
            || !uint.TryParse(cursor.Text.AsSpan(cursor.At, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code)
            || !Rune.IsValid(code))
        {
            throw cursor.Fail(start, digits + 2, $"expected {digits} hexadecimal digits of a Unicode character");
        }

        cursor.At += digits;
        return new Rune(code);
    }
}
