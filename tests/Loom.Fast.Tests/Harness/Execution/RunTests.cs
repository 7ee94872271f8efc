using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Execution;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

public sealed class RunTests
{
    [Fact]
    public async Task Run_ThreeComponents_DeliversEverythingInOrderAndEnds()
    {
        var kept = new List<Event<long>>();
        var result = await new RunKit().RunAsync(Line(10_000, (e, o, ct) => o.SendAsync(e.Derive(e.Data * 2), ct), kept));
        result.ExitCode.ShouldBe(RunResult.Ended);
        kept.Select(e => e.Data).ShouldBe(Enumerable.Range(0, 10_000).Select(n => 2L * n));
        kept[41].Id.ToString().ShouldBe("numbers:0:41/0");
    }

    [Fact]
    public async Task Run_HandlersThatWait_SameResult()
    {
        var kept = new List<Event<long>>();
        var result = await new RunKit().RunAsync(Line(
            1000,
            async (e, o, ct) =>
            {
                if (e.Data % 3 == 0)
                {
                    await Task.Yield();
                }

                await o.SendAsync(e.Derive(e.Data), ct);
                await o.SendAsync(e.Derive(-e.Data), ct);
            },
            kept));
        result.ExitCode.ShouldBe(RunResult.Ended);
        kept.Count.ShouldBe(2000);
        kept[7].Id.ToString().ShouldBe("numbers:0:3/1");
    }

    [Fact]
    public async Task Run_ClassWithALoopOfItsOwnThatLeavesEarly_HasNothingInHandAtTheEnd()
    {
        SystemAssembly? seen = null;
        var builder = new HarnessBuilder("system").Add("numbers", () => new Numbers(10)).Add("some", () => new TakesThree()).Bind("numbers.out", "some.in");
        (await new RunKit().RunAsync(builder, started: a => seen = a)).ExitCode.ShouldBe(RunResult.Ended);

        var (some, stream) = (RunSnapshot.Of(seen!).Components[1], RunSnapshot.Of(seen!).Streams[0]);
        (some.Taken, some.Done, some.InHand).ShouldBe((3, 3, 0));
        (stream.In, stream.Out, stream.Depth).ShouldBe((10, 3, 7));
    }

    [Input("in", typeof(long))]
    private sealed class TakesThree : Component
    {
        protected internal override async Task ProcessAsync(ProcessContext ctx, CancellationToken ct)
        {
            var input = ctx.In<long>();
            for (var taken = 0; taken < 3 && await input.WaitToReadAsync(ct);)
            {
                taken += input.TryRead(out _) ? 1 : 0;
            }
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Run_Concurrent_DeliversEverythingInTheOrderPromised(bool inOrder)
    {
        var kept = new List<Event<long>>();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var result = await new RunKit().RunAsync(Line(
            200,
            async (e, o, ct) =>
            {
                if (e.Data == 0)
                {
                    await gate.Task.WaitAsync(ct);
                }
                else if (e.Data == 3)
                {
                    gate.SetResult();
                }

                await o.SendAsync(e.Derive(e.Data), ct);
            },
            kept,
            p => p with { Concurrency = 4, Ordering = inOrder ? ItemOrder.Strict : ItemOrder.Relaxed }));
        result.ExitCode.ShouldBe(RunResult.Ended);
        kept.Select(e => e.Data).ShouldBe(Enumerable.Range(0, 200).Select(n => (long)n), ignoreOrder: !inOrder);
    }

    [Fact]
    public async Task Run_ItemsThatFail_GoToTheDeadLetterAndTheRestGoesOn()
    {
        var kit = new RunKit();
        var kept = new List<Event<long>>();
        var result = await kit.RunAsync(Line(100, (e, o, ct) => e.Data % 10 == 0 ? throw new InvalidOperationException($"no {e.Data}") : o.SendAsync(e, ct), kept));
        result.ExitCode.ShouldBe(RunResult.Ended);
        kept.Count.ShouldBe(90);
        kit.Failures.Select(f => f.Id.ToString()).ShouldBe(Enumerable.Range(0, 10).Select(n => $"numbers:0:{n * 10}"));
    }

    [Fact]
    public async Task Run_TransientFailureWithRetry_IsTriedAgainAndLeavesNothingOfTheFirstAttempt()
    {
        var kit = new RunKit();
        var kept = new List<Event<long>>();
        var tries = 0;
        var retry = HarnessBuilder.Capability(StandardCapability.Retry, new RetrySettings { Backoff = TimeSpan.Zero });
        var result = await kit.RunAsync(Line(
            10,
            async (e, o, ct) =>
            {
                await o.SendAsync(e.Derive(e.Data), ct);
                if (e.Data == 5 && ++tries < 3)
                {
                    throw new TimeoutException("later");
                }
            },
            kept,
            p => p with { Capabilities = [retry] }));
        result.ExitCode.ShouldBe(RunResult.Ended);
        tries.ShouldBe(3);
        kept.Count.ShouldBe(10);
        kit.Failures.ShouldBeEmpty();
    }

    [Fact]
    public async Task Run_SetupFails_CleansUpWhatWasSetUpInReverseAndNeverProcesses()
    {
        var log = new List<string>();
        var builder = new HarnessBuilder("system")
            .Add("a", () => new Lifecycle("a", log))
            .Add("b", () => new Lifecycle("b", log))
            .Add("c", () => new Lifecycle("c", log) { FailSetup = true });
        var result = await new RunKit().RunAsync(builder);
        result.ExitCode.ShouldBe(RunResult.Failed);
        result.Errors[0].Message.ShouldBe("setup of c");
        log.ShouldBe(["setup a", "setup b", "setup c", "disposed c", "cleanup b", "disposed b", "cleanup a", "disposed a"]);
    }

    [Fact]
    public async Task Run_CleanupFails_TheRestStillRunsAndTheRunFails()
    {
        var log = new List<string>();
        var builder = new HarnessBuilder("system").Add("a", () => new Lifecycle("a", log)).Add("b", () => new Lifecycle("b", log) { FailCleanup = true });
        var result = await new RunKit().RunAsync(builder);
        result.ExitCode.ShouldBe(RunResult.Failed);
        log.ShouldContain("cleanup a");
    }

    [Fact]
    public async Task Run_ComponentIgnoresCancellation_IsAbandonedAndSaysSo()
    {
        using var force = new CancellationTokenSource();
        var never = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var kit = new RunKit { Times = new LifecycleTimes { Cancel = TimeSpan.FromMilliseconds(50) } };
        var builder = Line(5, async (_, _, _) =>
        {
            await force.CancelAsync();
            await never.Task;
        }, []);
        var result = await kit.RunAsync(builder, force: force.Token);
        result.ExitCode.ShouldBe(RunResult.Abandoned);
        result.Errors.ShouldContain(e => e.Message.Contains("\"apply\" goes on", StringComparison.Ordinal));
        never.SetResult();
    }

    [Fact]
    public async Task Run_SoftStop_EmptiesTheStreamsAndEnds()
    {
        using var stop = new CancellationTokenSource();
        var kept = new List<Event<long>>();
        var result = await new RunKit().RunAsync(
            Line(
                int.MaxValue,
                async (e, o, ct) =>
                {
                    if (e.Data == 5000)
                    {
                        await stop.CancelAsync();
                    }

                    await o.SendAsync(e, ct);
                },
                kept),
            stop.Token);
        result.ExitCode.ShouldBe(RunResult.Ended);
        result.Reason.ShouldBe("drained");
        kept.Count.ShouldBeGreaterThan(5000);
        kept.Select(e => e.Data).ShouldBe(Enumerable.Range(0, kept.Count).Select(n => (long)n));
    }

    [Fact]
    public async Task Run_Batches_GatherBySizeAndEnd()
    {
        var sizes = new List<(int, BatchReason)>();
        var kept = new List<Event<long>>();
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(150))
            .Add("batches", () => new Batches(sizes), p => p with { Batching = new BatchingPlan { MaxItems = 64, MaxWait = TimeSpan.FromSeconds(30) } })
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "batches.in")
            .Bind("batches.out", "keep.in");
        (await new RunKit().RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        sizes.ShouldBe([(64, BatchReason.Size), (64, BatchReason.Size), (22, BatchReason.End)]);
        kept.Select(e => e.Data).ShouldBe(Enumerable.Range(0, 150).Select(n => (long)n));
    }

    private static HarnessBuilder Line(
        int count, Func<Event<long>, Emitter<long>, CancellationToken, ValueTask> handle, List<Event<long>> kept, Func<ComponentPlan, ComponentPlan>? shape = null) =>
        new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(count))
            .Add("apply", () => new Apply(handle), shape)
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "apply.in")
            .Bind("apply.out", "keep.in");

    private sealed class Batches(List<(int, BatchReason)> sizes) : Transformer<long, long>
    {
        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct) => output.SendAsync(e, ct);

        protected override ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            sizes.Add((batch.Count, batch.Reason));
            for (var i = 0; i < batch.Count; i++)
            {
                output.Send(i, batch[i]);
            }

            return default;
        }
    }

    private sealed class Lifecycle(string name, List<string> log) : Component
    {
        public bool FailSetup { get; init; }

        public bool FailCleanup { get; init; }

        protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
        {
            ctx.Own<IDisposable>(new Owned(() => log.Add($"disposed {name}")));
            log.Add($"setup {name}");
            return FailSetup ? throw new InvalidOperationException($"setup of {name}") : default;
        }

        protected internal override Task ProcessAsync(ProcessContext ctx, CancellationToken ct) => Task.CompletedTask;

        protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct)
        {
            log.Add($"cleanup {name}");
            return FailCleanup ? throw new InvalidOperationException($"cleanup of {name}") : default;
        }
    }

    private sealed class Owned(Action onDispose) : IDisposable
    {
        public void Dispose() => onDispose();
    }
}
