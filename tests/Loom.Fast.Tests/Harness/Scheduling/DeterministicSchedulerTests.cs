using System.Globalization;
using Loom.Components;
using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Execution;
using Loom.Harness.Execution.Scheduling;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Scheduling;

public sealed class DeterministicSchedulerTests
{
    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task Run_WithOneSeed_IsTheSame100OfTimes()
    {
        var first = await TraceAsync(seed: 7);
        first.Count.ShouldBeGreaterThan(150);
        for (var i = 1; i < 100; i++)
        {
            (await TraceAsync(seed: 7)).ShouldBe(first, $"run {i}");
        }
    }

    [Fact]
    public async Task Run_WithOtherSeeds_TakesOtherOrders()
    {
        var traces = new HashSet<string>();
        for (var seed = 0; seed < 5; seed++)
        {
            var trace = await TraceAsync(seed);
            traces.Add(string.Join('\n', trace));
        }

        traces.Count.ShouldBeGreaterThan(1);
    }

    [Fact]
    public async Task Clock_WhileSomethingOutsideIsSlow_StandsStill()
    {
        var scheduler = new DeterministicScheduler(1, s_start);
        var kept = new List<Event<long>>();
        var builder = new HarnessBuilder("slow")
            .Add("numbers", () => new Numbers(3))
            .Add("outside", () => new Apply(async (e, output, ct) =>
            {
                await Task.Run(() => Thread.SpinWait(2_000_000), ct).ConfigureAwait(false); // a disk, in effect
                await output.SendAsync(e, ct);
            }), p => p with { Capabilities = [HarnessBuilder.Capability(StandardCapability.Timeout, new TimeoutSettings { AttemptMs = TimeSpan.FromMilliseconds(1) })] })
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "outside.in").Bind("outside.out", "keep.in");
        var kit = new RunKit { Scheduler = scheduler };
        (await kit.RunAsync(builder)).ExitCode.ShouldBe(0);
        kit.Failures.ShouldBeEmpty();
        kept.Count.ShouldBe(3);
        scheduler.Time.GetUtcNow().ShouldBe(s_start);
    }

    [Fact]
    public async Task Clock_WhenEverybodySleeps_MovesToTheNextTimer()
    {
        var scheduler = new DeterministicScheduler(1, s_start);
        var at = new List<TimeSpan>();
        var builder = new HarnessBuilder("sleepy")
            .Add("numbers", () => new Numbers(3))
            .Add("sleep", () => new Apply(async (e, _, ct) =>
            {
                await Task.Delay(TimeSpan.FromHours(5), scheduler.Time, ct);
                at.Add(scheduler.Time.GetUtcNow() - s_start);
            }))
            .Bind("numbers.out", "sleep.in");
        (await new RunKit { Scheduler = scheduler }.RunAsync(builder)).ExitCode.ShouldBe(0);
        at.ShouldBe([TimeSpan.FromHours(5), TimeSpan.FromHours(10), TimeSpan.FromHours(15)]);
    }

    [Fact]
    public async Task Deadline_OfAHandlerThatSleepsLonger_Fires()
    {
        var scheduler = new DeterministicScheduler(1, s_start);
        var builder = new HarnessBuilder("late")
            .Add("numbers", () => new Numbers(1))
            .Add("sleep", () => new Apply(async (_, _, ct) => await Task.Delay(TimeSpan.FromHours(5), scheduler.Time, ct)),
                p => p with { Capabilities = [HarnessBuilder.Capability(StandardCapability.Timeout, new TimeoutSettings { AttemptMs = TimeSpan.FromMinutes(1) })] })
            .Bind("numbers.out", "sleep.in");
        var kit = new RunKit { Scheduler = scheduler };
        (await kit.RunAsync(builder)).ExitCode.ShouldBe(0);
        kit.Failures.ShouldHaveSingleItem().Error.ShouldBeOfType<ItemException>().Code.ShouldBe("timeout");
        scheduler.Time.GetUtcNow().ShouldBe(s_start + TimeSpan.FromMinutes(1));
    }

    [Fact]
    public async Task Step_OfEachEvent_IsAskedBeforeItIsHandled()
    {
        var turns = new List<string>();
        var scheduler = new DeterministicScheduler(1, s_start) { Step = t => turns.Add($"{t.Component}.{t.Port} {t.Id} {t.Data}") };
        var builder = new HarnessBuilder("steps").Add("numbers", () => new Numbers(2)).Add("keep", () => new Keep([])).Bind("numbers.out", "keep.in");
        (await new RunKit { Scheduler = scheduler }.RunAsync(builder)).ExitCode.ShouldBe(0);
        turns.Order(StringComparer.Ordinal).ShouldBe(["keep.in numbers:0:0 0", "keep.in numbers:0:1 1", "numbers.out numbers:0:0 0", "numbers.out numbers:0:1 1"]);
    }

    [Fact]
    public async Task Step_OfEachBatch_SaysThePortItCameBy()
    {
        var turns = new List<string>();
        var scheduler = new DeterministicScheduler(1, s_start) { Step = t => turns.Add($"{t.Component}.{t.Port} {t.Count}") };
        var builder = new HarnessBuilder("steps")
            .Add("one", () => new Numbers(2))
            .Add("other", () => new Numbers(3))
            .Add("both", () => new TwoInputs(), p => p with { Mode = ProcessingMode.Batch, Batching = new BatchingPlan { MaxItems = 16 } })
            .Bind("one.out", "both.a")
            .Bind("other.out", "both.b");
        (await new RunKit { Scheduler = scheduler }.RunAsync(builder)).ExitCode.ShouldBe(0);
        turns.Where(t => t.StartsWith("both", StringComparison.Ordinal)).Order(StringComparer.Ordinal).ShouldBe(["both.a 2", "both.b 3"]);
    }

    [Input("a", typeof(long))]
    [Input("b", typeof(long))]
    [Output("out", typeof(long))]
    private sealed class TwoInputs : StreamProcessor<long, long>
    {
        protected internal override IReadOnlyList<string> Inputs => ["a", "b"];

        protected override ValueTask OnItemAsync(string port, Event<long> e, Emitter<long> output, CancellationToken ct) => output.SendAsync(e, ct);
    }

    [Fact]
    public async Task Restart_OfAComponentThatThrows_WaitsInVirtualTime()
    {
        var scheduler = new DeterministicScheduler(1, s_start);
        var kept = new List<Event<long>>();
        var starts = 0;
        var builder = new HarnessBuilder("fragile")
            .Add("numbers", () => new Numbers(5))
            .Add("fragile", () => new Fragile(++starts))
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "fragile.in").Bind("fragile.out", "keep.in");
        (await new RunKit { Scheduler = scheduler }.RunAsync(builder)).ExitCode.ShouldBe(0);
        starts.ShouldBe(3);
        kept.Select(e => e.Data).ShouldBe([0, 1, 2, 3, 4]);
        scheduler.Time.GetUtcNow().ShouldBe(s_start + TimeSpan.FromSeconds(3), "a second, then two");
    }

    [Fact]
    public async Task Hold_ForAPerson_IsNoWaitOutside()
    {
        var scheduler = new DeterministicScheduler(1, s_start);
        using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(1), scheduler.Time);
        var builder = new HarnessBuilder("held")
            .Add("numbers", () => new Numbers(5))
            .Add("wrong", () => new Apply((_, _, _) => throw new ItemException("no_key", "a key is missing", ErrorClass.Configuration)))
            .Bind("numbers.out", "wrong.in");
        var result = await new RunKit { Scheduler = scheduler }.RunAsync(builder, stop.Token);
        result.ExitCode.ShouldBe(RunResult.Abandoned);
        result.Left.ShouldBe(new Dictionary<string, long> { ["numbers.out->wrong.in"] = 4 });
        scheduler.Time.GetUtcNow().ShouldBe(s_start + TimeSpan.FromSeconds(90), "the stop, then the time to drain");
    }

    [Fact]
    public async Task Abandon_WhileSomethingOutsideHangs_EndsTheRunAndNamesIt()
    {
        var scheduler = new DeterministicScheduler(1, s_start);
        var hangs = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var entered = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = new HarnessBuilder("hung")
            .Add("numbers", () => new Numbers(1))
            .Add("hung", () => new Apply(async (_, _, _) =>
            {
                entered.TrySetResult();
                await hangs.Task;
            }))
            .Bind("numbers.out", "hung.in");
        var running = new RunKit { Scheduler = scheduler }.RunAsync(builder);
        await entered.Task.WaitAsync(TimeSpan.FromSeconds(180));
        SpinWait.SpinUntil(() => scheduler.Busy.SequenceEqual(["hung"]), TimeSpan.FromSeconds(180)).ShouldBeTrue();
        scheduler.Abandon();
        await Should.ThrowAsync<OperationCanceledException>(running);
    }

    // Two ways from one source, one with failures that pass and one through batches that time closes, a timer beside them, and all together again.
    private static async Task<List<string>> TraceAsync(int seed)
    {
        var scheduler = new DeterministicScheduler(seed, s_start);
        var trace = new List<string>();
        var failed = new HashSet<long>();
        void Note(string who, long what) => trace.Add(string.Create(CultureInfo.InvariantCulture, $"{who} {what} {scheduler.Time.Ticks}"));
        var builder = new HarnessBuilder("many")
            .Add("numbers", () => new Numbers(40))
            .Add("clock", () => new Ticks(scheduler.Time, 10))
            .Add("odd", () => new Apply(async (e, output, ct) =>
            {
                Note("odd", e.Data);
                await Task.Run(() => Thread.SpinWait((int)(e.Data % 5) * 1000), ct).ConfigureAwait(false);
                if (e.Data % 7 == 3 && failed.Add(e.Data))
                {
                    throw new ItemException("busy", "later", ErrorClass.Transient);
                }

                await output.SendAsync(e.Derive(e.Data), ct);
            }), p => p with { Concurrency = 4, Capabilities = [HarnessBuilder.Capability(StandardCapability.Retry, new RetrySettings { Jitter = 0.5 })] })
            .Add("grouped", () => new Apply((e, output, ct) =>
            {
                Note("grouped", e.Data);
                return output.SendAsync(e.Derive(e.Data * 100), ct);
            }), p => p with { Batching = new BatchingPlan { MaxItems = 7, MaxWait = TimeSpan.FromMilliseconds(5) } })
            .Add("keep", () => new Apply((e, _, _) =>
            {
                Note("keep", e.Data);
                return default;
            }))
            .Bind("numbers.out", "odd.in", b => b with { Buffer = 4 }).Bind("numbers.out", "grouped.in").Bind("clock.out", "grouped.in")
            .Bind("odd.out", "keep.in").Bind("grouped.out", "keep.in", b => b with { Buffer = 3 });
        var result = await new RunKit { Scheduler = scheduler }.RunAsync(builder);
        result.ExitCode.ShouldBe(0, result.Reason);
        return trace;
    }

    // Throws out of its process phase at its second event, in its first two lives.
    [Input("in", typeof(long))]
    [Output("out", typeof(long))]
    private sealed class Fragile(int life) : Component
    {
        protected internal override async Task ProcessAsync(ProcessContext ctx, CancellationToken ct)
        {
            var (input, output, seen) = (ctx.In<long>(), ctx.Out<long>(), 0);
            while (await input.WaitToReadAsync(ct))
            {
                while (input.TryRead(out var e))
                {
                    if (++seen == 2 && life < 3)
                    {
                        throw new InvalidOperationException("fragile");
                    }

                    await output.SendAsync(e.Derive(e.Data), ct);
                }
            }
        }
    }

    private sealed class Ticks(TimeProvider time, int count) : Source<long>
    {
        private int _next;

        protected internal override async ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            if (_next == count)
            {
                return Read<long>.End;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(300), time, ct).ConfigureAwait(false);
            return Read<long>.Item(1000 + _next, _next, ++_next);
        }
    }
}
