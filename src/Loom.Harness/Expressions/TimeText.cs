using System.Globalization;
using System.Text;

namespace Loom.Harness.Expressions;

/// <summary>Timestamps (RFC 3339) and durations (<c>1h30m</c>) as text.</summary>
internal static class TimeText
{
    // What a tick can hold; more digits are cut off.
    private const int FractionDigits = 7;

    private static readonly (string Unit, long Ticks)[] s_units =
    [
        ("ms", TimeSpan.TicksPerMillisecond), ("us", TimeSpan.TicksPerMicrosecond), ("d", TimeSpan.TicksPerDay), ("h", TimeSpan.TicksPerHour),
        ("m", TimeSpan.TicksPerMinute), ("s", TimeSpan.TicksPerSecond),
    ];

    /// <summary>Reads <c>2026-01-31T12:00:00.5Z</c>, an offset in place of Z, or a date alone (midnight UTC).</summary>
    public static bool TryParseTimestamp(string text, out DateTimeOffset time)
    {
        var dot = text.IndexOf('.', StringComparison.Ordinal);
        if (dot > 0)
        {
            var end = dot + 1;
            while (end < text.Length && char.IsAsciiDigit(text[end]))
            {
                end++;
            }

            text = end - dot - 1 > FractionDigits ? text.Remove(dot + 1 + FractionDigits, end - dot - 1 - FractionDigits) : text;
        }

        // K alone would also take a time without any zone.
        const DateTimeStyles Utc = DateTimeStyles.AdjustToUniversal | DateTimeStyles.AssumeUniversal;
        return (text.Length > 10 && (text[^1] is 'Z' or 'z' || text[^6] is '+' or '-')
                && DateTimeOffset.TryParseExact(text.ToUpperInvariant(), "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", CultureInfo.InvariantCulture, Utc, out time))
            || DateTimeOffset.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, Utc, out time);
    }

    public static string Text(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.FFFFFFF'Z'", CultureInfo.InvariantCulture);

    /// <summary>Reads numbers with units d h m s ms us, largest or not first: <c>1h30m</c>, <c>1.5s</c>, <c>-2d</c>, and <c>0</c>.</summary>
    public static bool TryParseDuration(string text, out TimeSpan span)
    {
        span = default;
        var rest = text.AsSpan();
        var negative = rest is ['-', ..];
        rest = rest is ['-' or '+', ..] ? rest[1..] : rest;
        if (rest is "0")
        {
            return true;
        }

        var ticks = 0m;
        while (rest.Length > 0)
        {
            var digits = rest.IndexOfAnyExcept("0123456789.");
            if (digits is < 1 or > 20 || !decimal.TryParse(rest[..digits], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
            {
                return false;
            }

            rest = rest[digits..];
            var found = false;
            foreach (var (unit, size) in s_units)
            {
                if (rest.StartsWith(unit, StringComparison.Ordinal))
                {
                    ticks += number > long.MaxValue / size ? long.MaxValue : number * size;
                    rest = rest[unit.Length..];
                    found = true;
                    break;
                }
            }

            if (!found || ticks >= long.MaxValue)
            {
                return false;
            }
        }

        span = new TimeSpan((long)(negative ? -ticks : ticks));
        return text.Length > (negative ? 1 : 0);
    }

    /// <summary>In seconds, as CEL writes it: <c>5400s</c>, <c>0.25s</c>.</summary>
    public static string Text(TimeSpan span)
    {
        var text = new StringBuilder().Append(CultureInfo.InvariantCulture, $"{(decimal)span.Ticks / TimeSpan.TicksPerSecond:0.#######}");
        return text.Append('s').ToString();
    }
}
