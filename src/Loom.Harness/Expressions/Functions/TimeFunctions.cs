namespace Loom.Harness.Expressions.Functions;

/// <summary>Parts of timestamps (in UTC) and totals of durations, counted as CEL counts them: months and days of a month from 0, <c>getDate</c> from 1.</summary>
internal static class TimeFunctions
{
    public static IReadOnlyList<Function> All { get; } =
    [
        Part("getFullYear", static t => t.Year),
        Part("getMonth", static t => t.Month - 1),
        Part("getDate", static t => t.Day),
        Part("getDayOfMonth", static t => t.Day - 1),
        Part("getDayOfWeek", static t => (int)t.DayOfWeek),
        Part("getDayOfYear", static t => t.DayOfYear - 1),
        Part("getHours", static t => t.Hour),
        Part("getMinutes", static t => t.Minute),
        Part("getSeconds", static t => t.Second),
        Part("getMilliseconds", static t => t.Millisecond),
        Total("getHours", static d => d.Ticks / TimeSpan.TicksPerHour),
        Total("getMinutes", static d => d.Ticks / TimeSpan.TicksPerMinute),
        Total("getSeconds", static d => d.Ticks / TimeSpan.TicksPerSecond),
        Total("getMilliseconds", static d => d.Milliseconds),
    ];

    private static Function Part(string name, Func<DateTimeOffset, int> part) =>
        Function.Of(name, Style.Member, Kind.Timestamp, Kind.Int, (in a) => Value.Of((long)part(a.Timestamp)));

    private static Function Total(string name, Func<TimeSpan, long> total) =>
        Function.Of(name, Style.Member, Kind.Duration, Kind.Int, (in a) => Value.Of(total(a.Duration)));
}
