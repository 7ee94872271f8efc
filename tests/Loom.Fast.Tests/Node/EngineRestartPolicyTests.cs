using FsCheck;
using FsCheck.Fluent;
using Loom.Node.Engines;
using Loom.Processes;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Node;

public sealed class EngineRestartPolicyTests
{
    private static readonly EngineRestartPolicy s_policy = new() { Jitter = 0 };

    [Fact]
    public void Decide_CrashLoop_BacksOffThenOpensAndDoublesToAnHour()
    {
        Delays(s_policy, Enumerable.Repeat(TimeSpan.FromSeconds(1), 11)).ShouldBe([1, 2, 4, 8, 300, 600, 1200, 2400, 3600, 3600, 3600]);
    }

    [Fact]
    public void Decide_TrialStableForAMinute_ClosesTheBreaker()
    {
        var lives = Enumerable.Repeat(TimeSpan.FromSeconds(1), 5).Append(TimeSpan.FromSeconds(60)).Append(TimeSpan.FromSeconds(1));
        Delays(s_policy, lives).ShouldBe([1, 2, 4, 8, 300, 1, 2]);
    }

    [Fact]
    public void Decide_DiesAfterMinutesOfLoading_OpensTheBreakerAllTheSame()
    {
        var history = RestartHistory.Empty;
        for (var crash = 1; crash <= 5; crash++)
        {
            var again = (RestartDecision.Again)s_policy.Decide(EndCause.Failure, TimeSpan.FromSeconds(90), TimeSpan.Zero, history, Fixtures.Now, 0.5);
            s_policy.IsOpen(again.Delay).ShouldBe(crash == 5);
            history = again.History;
        }
    }

    [Fact]
    public void Decide_ExitZeroUnasked_IsNotRestarted() =>
        s_policy.Decide(EndCause.Success, TimeSpan.FromSeconds(5), TimeSpan.Zero, RestartHistory.Empty, Fixtures.Now, 0.5).ShouldBeOfType<RestartDecision.Complete>();

    [Fact]
    public void Decide_FatalCode_GivesUp() =>
        s_policy.Decide(EndCause.Fatal, TimeSpan.FromSeconds(5), TimeSpan.Zero, RestartHistory.Empty, Fixtures.Now, 0.5).ShouldBeOfType<RestartDecision.GiveUp>();

    [Fact]
    public void Decide_MemoryTroubleInTheLog_DoublesTheDelay() =>
        Delays(s_policy with { MemoryTroubleSince = _ => true }, Enumerable.Repeat(TimeSpan.FromSeconds(1), 5)).ShouldBe([2, 4, 8, 16, 600]);

    [Fact]
    public void Decide_AnyHistory_OpensExactlyAfterFiveCrashesWithoutAStableMinute()
    {
        var lives = Gen.Choose(0, 100).ListOf().ToArbitrary();
        Check.QuickThrowOnFailure(Prop.ForAll(lives, Gen.Choose(0, 999).ToArbitrary(), Gen.Elements(true, false).ToArbitrary(), (seconds, chance, trouble) =>
        {
            var policy = new EngineRestartPolicy { MemoryTroubleSince = _ => trouble };
            var history = RestartHistory.Empty;
            var inARow = 0;
            var now = Fixtures.Now;
            foreach (var alive in seconds.Select(s => TimeSpan.FromSeconds(s)))
            {
                inARow = alive.TotalSeconds >= 60 ? 1 : inARow + 1;
                now += alive;
                var again = policy.Decide(EndCause.Failure, alive, alive, history, now, chance / 1000d).ShouldBeOfType<RestartDecision.Again>();
                policy.IsOpen(again.Delay).ShouldBe(inARow >= 5);
                again.Delay.ShouldBeLessThanOrEqualTo(TimeSpan.FromHours(1.1));
                again.Delay.ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(0.9));
                history = again.History;
                now += again.Delay;
            }
        }));
    }

    private static double[] Delays(EngineRestartPolicy policy, IEnumerable<TimeSpan> lives)
    {
        var history = RestartHistory.Empty;
        var delays = new List<double>();
        foreach (var alive in lives)
        {
            var again = (RestartDecision.Again)policy.Decide(EndCause.Failure, alive, alive, history, Fixtures.Now, 0.5);
            history = again.History;
            delays.Add(again.Delay.TotalSeconds);
        }

        return [.. delays];
    }
}
