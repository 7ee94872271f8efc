namespace Loom.Core.Toml;

/// <summary>Dates and times as RFC 3339 writes them, the calendar checked.</summary>
internal static class TomlDates
{
    /// <summary>Whether a date (<c>dddd-</c>) or a time (<c>dd:</c>) begins at the cursor.</summary>
    public static bool StartsHere(TomlCursor cursor) =>
        char.IsAsciiDigit(cursor.Current) && char.IsAsciiDigit(cursor.Ahead(1))
        && (cursor.Ahead(2) == ':' || (char.IsAsciiDigit(cursor.Ahead(2)) && char.IsAsciiDigit(cursor.Ahead(3)) && cursor.Ahead(4) == '-'));

    public static TomlDateTime Read(TomlCursor cursor)
    {
        var start = cursor.At;
        var kind = TomlDateTimeKind.Time;
        if (cursor.Ahead(2) != ':')
        {
            Date(cursor, start);
            kind = TomlDateTimeKind.Date;
            var separator = cursor.Current;
            if (separator is 'T' or 't' || (separator == ' ' && char.IsAsciiDigit(cursor.Ahead(1))))
            {
                cursor.At++;
                Time(cursor, start);
                kind = Offset(cursor, start) ? TomlDateTimeKind.Offset : TomlDateTimeKind.Local;
            }
        }
        else
        {
            Time(cursor, start);
        }

        if (char.IsLetterOrDigit(cursor.Current) || cursor.Current is '-' or ':' or '.' or '+' or '_')
        {
            throw Bad(cursor, start);
        }

        var text = cursor.Text[start..cursor.At].ToUpperInvariant().Replace(' ', 'T');
        return new TomlDateTime(kind, text);
    }

    private static void Date(TomlCursor cursor, int start)
    {
        var year = Number(cursor, start, 4);
        Expect(cursor, start, '-');
        var month = Number(cursor, start, 2);
        Expect(cursor, start, '-');
        var day = Number(cursor, start, 2);
        var days = month switch
        {
            2 => year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28,
            4 or 6 or 9 or 11 => 30,
            >= 1 and <= 12 => 31,
            _ => 0,
        };
        if (day < 1 || day > days)
        {
            throw cursor.Fail(start, cursor.At - start, "no such day in the calendar");
        }
    }

    private static void Time(TomlCursor cursor, int start)
    {
        var hour = Number(cursor, start, 2);
        Expect(cursor, start, ':');
        var minute = Number(cursor, start, 2);
        Expect(cursor, start, ':');
        var second = Number(cursor, start, 2);
        if (cursor.TakeIf('.'))
        {
            var digits = cursor.At;
            while (char.IsAsciiDigit(cursor.Current))
            {
                cursor.At++;
            }

            if (cursor.At == digits)
            {
                throw Bad(cursor, start);
            }
        }

        // 60 is a leap second.
        if (hour > 23 || minute > 59 || second > 60)
        {
            throw cursor.Fail(start, cursor.At - start, "no such time of day");
        }
    }

    private static bool Offset(TomlCursor cursor, int start)
    {
        if (cursor.Current is 'Z' or 'z')
        {
            cursor.At++;
            return true;
        }

        if (cursor.Current is not ('+' or '-'))
        {
            return false;
        }

        cursor.At++;
        var hour = Number(cursor, start, 2);
        Expect(cursor, start, ':');
        return Number(cursor, start, 2) <= 59 && hour <= 23 ? true : throw cursor.Fail(start, cursor.At - start, "no such offset from UTC");
    }

    private static int Number(TomlCursor cursor, int start, int digits)
    {
        var value = 0;
        for (var i = 0; i < digits; i++)
        {
            value = char.IsAsciiDigit(cursor.Current) ? (value * 10) + (cursor.Current - '0') : throw Bad(cursor, start);
            cursor.At++;
        }

        return value;
    }

    private static void Expect(TomlCursor cursor, int start, char c)
    {
        if (!cursor.TakeIf(c))
        {
            throw Bad(cursor, start);
        }
    }

    private static TomlException Bad(TomlCursor cursor, int start) =>
        cursor.Fail(start, Math.Max(1, cursor.At - start), "expected a date or time such as 2026-05-27, 07:32:00 or 2026-05-27T07:32:00Z");
}
