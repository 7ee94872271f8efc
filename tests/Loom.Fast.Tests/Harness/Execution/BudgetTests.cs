using Loom.Components;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

public sealed class BudgetTests
{
    [Fact]
    public async Task Budget_UsedUp_TheRestGoesToTheDeadLetter()
    {
        var kit = new RunKit();
        var kept = new List<Event<long>>();
        (await kit.RunAsync(Line(20, OnBudget.DeadLetter, kept))).ExitCode.ShouldBe(RunResult.Ended);
        // Ten tokens a question: the fifth uses up fifty.
        kept.Count.ShouldBe(5);
        kit.Failures.Count.ShouldBe(15);
        kit.Failures.ShouldAllBe(f => ErrorClasses.CodeOf(f.Error) == "budget_exhausted");
    }

    [Fact]
    public async Task Budget_UsedUpAndWaiting_ResumingGrantsAsMuchAgain()
    {
        var kit = new RunKit();
        var kept = new List<Event<long>>();
        var held = new List<int>();
        var watching = Task.CompletedTask;
        var result = await kit.RunAsync(Line(12, OnBudget.Wait, kept), started: assembly => watching = Task.Run(() =>
        {
            var loop = assembly.Run.Hosts.Single(h => h.Plan.Name == "model").Loop;
            for (var i = 0; i < 2; i++)
            {
                SpinWait.SpinUntil(() => loop.Pause.Reason is not null && loop.Counters.Taken == loop.Counters.Done + 1, TimeSpan.FromSeconds(180)).ShouldBeTrue();
                loop.Pause.Reason.ShouldBe("budget_exhausted: the budget of 50 tokens is used up; resuming the component grants as many again");
                held.Add((int)loop.Counters.Done);
                loop.Pause.Release();
            }
        }));
        await watching;
        result.ExitCode.ShouldBe(RunResult.Ended);
        held.ShouldBe([5, 10]);
        kept.Count.ShouldBe(12);
        kit.Failures.ShouldBeEmpty();
    }

    [Fact]
    public async Task Budget_ComponentIsSetUpAgain_WhatWasGrantedStaysGranted()
    {
        // Held after five and let go on; set up again in the middle of the next five; held again after those five, and not before.
        var failed = 0;
        var kit = new RunKit { Taking = _ => { if (failed++ == 0) { throw new InvalidOperationException("it fell over"); } } };
        var kept = new List<Event<long>>();
        var held = new List<int>();
        var watching = Task.CompletedTask;
        var result = await kit.RunAsync(
            Line(12, OnBudget.Wait, kept, e => e.Data == 6),
            started: assembly => watching = Task.Run(() =>
            {
                var loop = assembly.Run.Hosts.Single(h => h.Plan.Name == "model").Loop;
                for (var i = 0; i < 2; i++)
                {
                    SpinWait.SpinUntil(() => loop.Pause.Reason is not null, TimeSpan.FromSeconds(180)).ShouldBeTrue();
                    held.Add((int)loop.Counters.Done);
                    loop.Pause.Release();
                }
            }));
        await watching;
        result.ExitCode.ShouldBe(RunResult.Ended);
        failed.ShouldBe(2, "it was set up again, and the same event came again");
        held.ShouldBe([5, 10]);
        kept.Count.ShouldBe(11);
    }

    private static HarnessBuilder Line(int count, OnBudget then, List<Event<long>> kept, Func<Event<long>, bool>? crashes = null) =>
        new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(count))
            .Add("model", () => new Asks(crashes), p => p with { Restart = p.Restart with { Backoff = TimeSpan.FromMilliseconds(1) }, Capabilities = [HarnessBuilder.Capability(StandardCapability.LlmProvider, new LlmProviderSettings { BudgetTokens = 50, OnBudget = then })] })
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "model.in")
            .Bind("model.out", "keep.in");

    private sealed class Asks(Func<Event<long>, bool>? crashes) : Transformer<long, long>
    {
        private IComponentMetrics _metrics = null!;

        protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
        {
            _metrics = ctx.Metrics;
            return default;
        }

        protected override ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct)
        {
            if (crashes?.Invoke(e) == true)
            {
                throw new ItemException("odd", "odd");
            }

            _metrics.Count("prompt_tokens", 7);
            _metrics.Count("completion_tokens", 3);
            return output.SendAsync(e, ct);
        }
    }
}
