using Loom.Harness.Components.BuiltIns.Sources;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Ends;

public class CronTests
{
    private static DateTimeOffset At(string text) => DateTimeOffset.Parse(text, System.Globalization.CultureInfo.InvariantCulture);

    [Theory]
    [InlineData("* * * * *", "2026-03-01T10:00:30Z", "2026-03-01T10:01:00Z")]
    [InlineData("*/15 * * * *", "2026-03-01T10:15:00Z", "2026-03-01T10:30:00Z")]
    [InlineData("0 9-17/4 * * mon-fri", "2026-02-27T17:00:00Z", "2026-03-02T09:00:00Z")]
    [InlineData("30 2 29 feb *", "2026-01-01T00:00:00Z", "2028-02-29T02:30:00Z")]
    [InlineData("0 0 13 * 5", "2026-03-01T00:00:00Z", "2026-03-06T00:00:00Z")] // either day
    [InlineData("0 0 * * 7", "2026-03-02T00:00:00Z", "2026-03-08T00:00:00Z")] // 7 is Sunday
    [InlineData("@monthly", "2026-12-31T23:59:00Z", "2027-01-01T00:00:00Z")]
    [InlineData("5,10 8 * * *", "2026-03-01T08:05:00Z", "2026-03-01T08:10:00Z")]
    public void Cron_Schedule_GivesTheNextTime(string schedule, string after, string next) =>
        Cron.Parse(schedule).Next(At(after), TimeZoneInfo.Utc).ShouldBe(At(next));

    [Theory]
    [InlineData("* * * *")]
    [InlineData("60 * * * *")]
    [InlineData("* 24 * * *")]
    [InlineData("* * 0 * *")]
    [InlineData("* * * foo *")]
    [InlineData("5-1 * * * *")]
    [InlineData("*/0 * * * *")]
    [InlineData("0 0 30 2 *")]
    [InlineData("")]
    [InlineData("a b c d e")]
    public void Cron_NoSchedule_IsRefusedWithItsField(string schedule) => Should.Throw<FormatException>(() => Cron.Parse(schedule)).Message.ShouldNotBeEmpty();

    // A zone of our own: the tests do not depend on the machine's list. Clocks go from 02:00 to 03:00 on 29 March and back from 03:00 to 02:00 on 25 October.
    private static readonly TimeZoneInfo s_zone = TimeZoneInfo.CreateCustomTimeZone(
        "test", TimeSpan.FromHours(1), "test", "test", "test summer",
        [TimeZoneInfo.AdjustmentRule.CreateAdjustmentRule(
            new DateTime(2000, 1, 1), new DateTime(2100, 1, 1), TimeSpan.FromHours(1),
            TimeZoneInfo.TransitionTime.CreateFixedDateRule(new DateTime(1, 1, 1, 2, 0, 0), 3, 29),
            TimeZoneInfo.TransitionTime.CreateFixedDateRule(new DateTime(1, 1, 1, 3, 0, 0), 10, 25))]);

    [Fact]
    public void Cron_TimeTheClockSkips_HappensWhenItHasJumped() =>
        Cron.Parse("30 2 * * *").Next(At("2026-03-28T12:00:00Z"), s_zone).ShouldBe(At("2026-03-29T01:30:00Z"));

    [Fact]
    public void Cron_TimeThatComesTwice_HappensOnce()
    {
        var first = Cron.Parse("30 2 * * *").Next(At("2026-10-24T12:00:00Z"), s_zone);
        first.ShouldBe(At("2026-10-25T00:30:00Z"));
        Cron.Parse("30 2 * * *").Next(first!.Value, s_zone).ShouldBe(At("2026-10-26T01:30:00Z"));
    }

    [Fact]
    public void Cron_EveryHour_HappensInBothHours()
    {
        var hourly = Cron.Parse("0 * * * *");
        var at = At("2026-10-24T23:30:00Z");
        var times = new List<DateTimeOffset>();
        for (var i = 0; i < 4; i++)
        {
            at = hourly.Next(at, s_zone)!.Value;
            times.Add(at);
        }

        times.ShouldBe([At("2026-10-25T00:00:00Z"), At("2026-10-25T01:00:00Z"), At("2026-10-25T02:00:00Z"), At("2026-10-25T03:00:00Z")]);
    }
}
