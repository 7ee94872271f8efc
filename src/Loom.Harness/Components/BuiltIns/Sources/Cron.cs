using System.Globalization;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>
/// A schedule of five fields: minute, hour, day of the month, month, day of the week (0 and 7 are Sunday). A field is <c>*</c>, numbers, ranges, steps and lists of them
/// (<c>0,30</c>, <c>9-17</c>, <c>*/5</c>, <c>10-50/10</c>); months and days have names of three letters. When both days are restricted, either may fit. <c>@hourly</c>, <c>@daily</c>,
/// <c>@weekly</c>, <c>@monthly</c> and <c>@yearly</c> are short forms.
/// </summary>
internal sealed class Cron
{
    // No schedule that fits any day at all is further away: 29 February over a century that skips it.
    private const int MostYears = 9;

    private static readonly string[] s_months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    private static readonly string[] s_days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

    private readonly ulong _minutes;
    private readonly ulong _hours;
    private readonly ulong _monthDays;
    private readonly ulong _months;
    private readonly ulong _weekDays;
    private readonly bool _eitherDay;

    private Cron(string[] fields)
    {
        _minutes = Field(fields[0], "minute", 0, 59, []);
        _hours = Field(fields[1], "hour", 0, 23, []);
        _monthDays = Field(fields[2], "day of the month", 1, 31, []);
        _months = Field(fields[3], "month", 1, 12, s_months);
        var week = Field(fields[4], "day of the week", 0, 7, s_days);
        _weekDays = (week | (week >> 7)) & 0x7F;
        _eitherDay = fields[2][0] != '*' && fields[4][0] != '*';
    }

    /// <summary>Reads a schedule.</summary>
    /// <exception cref="FormatException">It is none, and which field is at fault.</exception>
    public static Cron Parse(string text)
    {
        var plain = text.Trim() switch
        {
            "@hourly" => "0 * * * *",
            "@daily" or "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" or "@annually" => "0 0 1 1 *",
            var other => other,
        };
        var fields = plain.Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length != 5)
        {
            throw new FormatException($"'{text}' has {fields.Length} fields; a schedule has five: minute hour day-of-month month day-of-week");
        }

        var cron = new Cron(fields);
        return cron.Next(new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero), TimeZoneInfo.Utc) is null
            ? throw new FormatException($"'{text}' names a day that no month has")
            : cron;
    }

    /// <summary>The first time of the schedule after a moment; null when there is none within nine years.</summary>
    /// <param name="after">The moment.</param>
    /// <param name="zone">
    /// Whose clock the schedule is read on. A time the clock skips in spring happens when the clock has jumped; one that comes twice in autumn happens once, the first time, unless the
    /// schedule names every hour.
    /// </param>
    public DateTimeOffset? Next(DateTimeOffset after, TimeZoneInfo zone)
    {
        var local = TimeZoneInfo.ConvertTime(after, zone).DateTime;
        // From an hour earlier: an hour that comes twice is behind the local clock.
        var at = new DateTime(local.Year, local.Month, local.Day, local.Hour, 0, 0, DateTimeKind.Unspecified).AddHours(-1);
        var last = at.AddYears(MostYears);
        while (at < last)
        {
            if (!Has(_months, at.Month))
            {
                at = new DateTime(at.Year, at.Month, 1, 0, 0, 0, DateTimeKind.Unspecified).AddMonths(1);
            }
            else if (!FitsDay(at))
            {
                at = at.Date.AddDays(1);
            }
            else if (!Has(_hours, at.Hour))
            {
                at = at.Date.AddHours(at.Hour + 1);
            }
            else if (!Has(_minutes, at.Minute))
            {
                at = at.AddMinutes(1);
            }
            else if (Moment(at, after, zone) is { } found)
            {
                return found;
            }
            else
            {
                at = at.AddMinutes(1);
            }
        }

        return null;
    }

    // The moment of a local time, if it lies after another.
    private DateTimeOffset? Moment(DateTime local, DateTimeOffset after, TimeZoneInfo zone)
    {
        if (zone.IsInvalidTime(local))
        {
            // The clock jumps over it: the moment it has jumped, which is the local time by the offset of before.
            var before = zone.GetUtcOffset(local.AddDays(-1));
            var jumped = new DateTimeOffset(local, before).ToUniversalTime();
            return jumped > after ? jumped : null;
        }

        if (!zone.IsAmbiguousTime(local))
        {
            var only = new DateTimeOffset(local, zone.GetUtcOffset(local)).ToUniversalTime();
            return only > after ? only : null;
        }

        var offsets = zone.GetAmbiguousTimeOffsets(local);
        var first = new DateTimeOffset(local, offsets.Max()).ToUniversalTime();
        if (first > after)
        {
            return first;
        }

        var second = new DateTimeOffset(local, offsets.Min()).ToUniversalTime();
        return _hours == 0xFFFFFF && second > after ? second : null;
    }

    private bool FitsDay(DateTime at)
    {
        var month = Has(_monthDays, at.Day);
        var week = Has(_weekDays, (int)at.DayOfWeek);
        return _eitherDay ? month || week : month && week;
    }

    private static bool Has(ulong set, int value) => (set & (1UL << value)) != 0;

    private static ulong Field(string text, string name, int least, int most, string[] names)
    {
        var set = 0UL;
        foreach (var part in text.Split(','))
        {
            var slash = part.IndexOf('/');
            var step = slash < 0 ? 1 : Number(part[(slash + 1)..], name, 1, most, []);
            var range = slash < 0 ? part : part[..slash];
            var dash = range.IndexOf('-');
            var (from, to) = range is "*" ? (least, most)
                : dash > 0 ? (Number(range[..dash], name, least, most, names), Number(range[(dash + 1)..], name, least, most, names))
                : Number(range, name, least, most, names) is var one && slash >= 0 ? (one, most) : (one, one);
            if (from > to)
            {
                throw new FormatException($"{name}: the range '{range}' runs backwards");
            }

            for (var value = from; value <= to; value += step)
            {
                set |= 1UL << value;
            }
        }

        return set;
    }

    private static int Number(string text, string name, int least, int most, string[] names)
    {
        var named = Array.IndexOf(names, text.ToLowerInvariant());
        if (named >= 0)
        {
            return named + (names.Length == 12 ? 1 : 0);
        }

        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most
            ? value
            : throw new FormatException($"{name}: '{text}' is no number from {least} to {most}{(names.Length > 0 ? " and no name of three letters" : "")}");
    }
}
