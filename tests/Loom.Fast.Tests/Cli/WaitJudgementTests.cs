using Loom.Cli.Status;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Cli;

public sealed class WaitJudgementTests
{
    [Theory]
    [InlineData("ready", "Met", "Pending")]
    [InlineData("completed", "Met", "Met")]
    [InlineData("stopped", "Pending", "Met")]
    [InlineData("failed", "Hopeless", "Hopeless")]
    [InlineData("skipped", "Hopeless", "Hopeless")]
    [InlineData("blocked", "Hopeless", "Hopeless")]
    [InlineData("pending", "Pending", "Pending")]
    [InlineData("running", "Pending", "Pending")]
    [InlineData("unhealthy", "Pending", "Pending")]
    [InlineData("backoff", "Pending", "Pending")]
    [InlineData("stopping", "Pending", "Pending")]
    public void Of_Process_IsJudgedByItsState(string state, string ready, string ended)
    {
        var view = View([new ProcessView { Name = "a", Kind = "agent", State = state }], []);
        WaitJudgement.Of(view, WaitGoal.Ready)[0].Verdict.ToString().ShouldBe(ready);
        WaitJudgement.Of(view, WaitGoal.Ended)[0].Verdict.ToString().ShouldBe(ended);
    }

    [Theory]
    [InlineData("ready", "Met")]
    [InlineData("starting", "Pending")]
    [InlineData("failed", "Hopeless")]
    public void Of_Pool_IsJudgedByItsState(string state, string verdict) =>
        WaitJudgement.Of(View([], [new PoolView("p", "r0", state, "mock", "demo", true, null)]), WaitGoal.Ready)[0].Verdict.ToString().ShouldBe(verdict);

    [Fact]
    public void Of_Several_HopelessBeatsPendingBeatsMet()
    {
        WaitItem met = new("a", "agent", "ready", null, WaitVerdict.Met), pending = met with { Verdict = WaitVerdict.Pending }, lost = met with { Verdict = WaitVerdict.Hopeless };
        WaitJudgement.Of([met, met]).ShouldBe(WaitVerdict.Met);
        WaitJudgement.Of([met, pending]).ShouldBe(WaitVerdict.Pending);
        WaitJudgement.Of([met, pending, lost]).ShouldBe(WaitVerdict.Hopeless);
    }

    private static StatusView View(IReadOnlyList<ProcessView> processes, IReadOnlyList<PoolView> pools) => new()
    {
        Run = new RunView { RunId = "r" },
        Processes = processes,
        Pools = pools,
        Now = default,
        Uptime = default,
    };
}
