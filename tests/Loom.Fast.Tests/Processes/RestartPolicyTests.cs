using FsCheck;
using FsCheck.Fluent;
using Loom.Processes;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Processes;

public sealed class RestartPolicyTests
{
    private static readonly DateTimeOffset s_start = DateTimeOffset.UnixEpoch;

    [Fact]
    public void Decide_AnyChance_StaysWithinTheJitterOfTheStep()
    {
        Prop.ForAll(Gen.Choose(0, 999).ToArbitrary(), Gen.Choose(0, 200).ToArbitrary(), (chance, consecutive) =>
        {
            var history = new RestartHistory(consecutive, []);
            var again = (RestartDecision.Again)RestartPolicy.OnFailure.Decide(EndCause.Failure, TimeSpan.Zero, TimeSpan.Zero, history, s_start, chance / 1000.0);
            var step = Math.Min(Math.Pow(2, Math.Min(consecutive, 64)), 60);
            return again.Delay.TotalSeconds >= step * 0.9 - 1e-6 && again.Delay.TotalSeconds <= step * 1.1 + 1e-6 && again.History.Consecutive == consecutive + 1;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Decide_StableLongEnough_BeginsAnew()
    {
        var history = new RestartHistory(9, []);
        Delay(RestartPolicy.OnFailure.Decide(EndCause.Failure, TimeSpan.FromSeconds(300), TimeSpan.Zero, history, s_start, 0.5)).ShouldBe(1);
        Delay(RestartPolicy.OnFailure.Decide(EndCause.Failure, TimeSpan.FromSeconds(299), TimeSpan.Zero, history, s_start, 0.5)).ShouldBe(60);
    }

    [Fact]
    public void Decide_AnyPaceOfCrashes_NeverMoreThanTheStormLimitInAWindow()
    {
        Prop.ForAll(Gen.Choose(1, 20_000).ArrayOf(60).ToArbitrary(), gaps =>
        {
            var history = RestartHistory.Empty;
            var now = s_start;
            var restarts = new List<DateTimeOffset>();
            foreach (var gap in gaps)
            {
                now += TimeSpan.FromMilliseconds(gap);
                if (RestartPolicy.OnFailure.Decide(EndCause.Failure, TimeSpan.Zero, TimeSpan.Zero, history, now, 0.5) is not RestartDecision.Again again)
                {
                    return restarts.Count(r => now - r < TimeSpan.FromSeconds(60)) == 10;
                }

                history = again.History;
                restarts.Add(now);
            }

            return restarts.All(r => restarts.Count(o => o >= r && o - r < TimeSpan.FromSeconds(60)) <= 10);
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Decide_NeverPolicy_GivesUpOnFailureAndCompletesOnSuccess()
    {
        RestartPolicy.Never.Decide(EndCause.Failure, default, default, RestartHistory.Empty, s_start, 0).ShouldBeOfType<RestartDecision.GiveUp>();
        RestartPolicy.Never.Decide(EndCause.Success, default, default, RestartHistory.Empty, s_start, 0).ShouldBeOfType<RestartDecision.Complete>();
    }

    [Fact]
    public void Decide_MaxConsecutive_GivesUpAfterIt()
    {
        var policy = RestartPolicy.OnFailure with { Max = 2 };
        policy.Decide(EndCause.Failure, default, default, new RestartHistory(1, []), s_start, 0).ShouldBeOfType<RestartDecision.Again>();
        policy.Decide(EndCause.Failure, default, default, new RestartHistory(2, []), s_start, 0).ShouldBeOfType<RestartDecision.GiveUp>();
    }

    private static double Delay(RestartDecision decision) => Math.Round(decision.ShouldBeOfType<RestartDecision.Again>().Delay.TotalSeconds, 6);
}
