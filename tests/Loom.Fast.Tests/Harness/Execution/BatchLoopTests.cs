using System.Collections.Concurrent;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Commands;
using Loom.Harness.Execution;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

public sealed class BatchLoopTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(180);

    [Fact]
    public async Task Relaxed_ConcurrencyOfThree_ThreeBatchesAreInWorkAtOnce()
    {
        var together = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var (inWork, most) = (0, 0);
        var kept = new List<Event<long>>();
        var builder = Line(60, kept, new BatchingPlan { MaxItems = 10, MaxWait = s_long, Relaxed = true }, async (batch, output) =>
        {
            var now = Interlocked.Increment(ref inWork);
            InterlockedMax(ref most, now);
            if (now == 3)
            {
                together.TrySetResult();
            }

            await together.Task.WaitAsync(s_long);
            Copy(batch, output);
            Interlocked.Decrement(ref inWork);
        }, concurrency: 3);
        (await new RunKit().RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        most.ShouldBe(3);
        kept.Select(e => e.Data).ShouldBe(Enumerable.Range(0, 60).Select(n => (long)n), ignoreOrder: true);
    }

    [Fact]
    public async Task Strict_ConcurrencyOfThree_NoSecondBatchStartsBeforeTheFirstIsDone()
    {
        var (inWork, most) = (0, 0);
        var kept = new List<Event<long>>();
        var builder = Line(60, kept, new BatchingPlan { MaxItems = 10, MaxWait = s_long }, async (batch, output) =>
        {
            InterlockedMax(ref most, Interlocked.Increment(ref inWork));
            await Task.Yield();
            Copy(batch, output);
            Interlocked.Decrement(ref inWork);
        }, concurrency: 3);
        (await new RunKit().RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        most.ShouldBe(1);
        kept.Select(e => e.Data).ShouldBe(Enumerable.Range(0, 60).Select(n => (long)n));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public async Task FormingBufferLimit_BatchInWork_SoManyClosedOnesWaitAndThenIntakeStops(int limit)
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var kept = new List<Event<long>>();
        var builder = Line(1000, kept, new BatchingPlan { MaxItems = 10, MaxWait = s_long, FormingBufferLimit = limit }, async (batch, output) =>
        {
            await release.Task.WaitAsync(s_long);
            Copy(batch, output);
        });
        long taken = 0;
        var result = await new RunKit().RunAsync(builder, started: assembly => _ = Task.Run(() =>
        {
            var counters = assembly.Run.Hosts.Single(h => h.Plan.Name == "batches").Loop.Counters;
            var stream = assembly.Run.Streams[0];
            SpinWait.SpinUntil(() => counters.Taken >= 10 * (limit + 1) && stream.Snapshot().In == 1000, s_long);
            taken = counters.Taken;
            release.SetResult();
        }));
        result.ExitCode.ShouldBe(RunResult.Ended);
        // One in work, and so many behind it.
        taken.ShouldBe(10 * (limit + 1));
        kept.Count.ShouldBe(1000);
    }

    [Fact]
    public async Task SeveralInputsAndOutputs_EachBatchIsOfOneInputAndResultsKeepTheirPort()
    {
        var (left, right) = (new List<Event<long>>(), new List<Event<long>>());
        var seen = new ConcurrentBag<string>();
        var builder = new HarnessBuilder("system")
            .Add("a", () => new Numbers(100))
            .Add("b", () => new Numbers(100))
            .Add("two", () => new TwoWays(seen), p => Batched(p, new BatchingPlan { MaxItems = 16 }))
            .Add("left", () => new Keep(left))
            .Add("right", () => new Keep(right))
            .Bind("a.out", "two.a")
            .Bind("b.out", "two.b")
            .Bind("two.left", "left.in")
            .Bind("two.right", "right.in");
        (await new RunKit().RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        left.Select(e => e.Data).ShouldBe(Enumerable.Range(0, 100).Select(n => (long)n));
        right.Select(e => e.Data).ShouldBe(Enumerable.Range(0, 100).Select(n => (long)-n));
        seen.ShouldAllBe(s => s == "a:a" || s == "b:b");
    }

    [Fact]
    public async Task FailFast_TransientFailure_RetryRepeatsTheWholeBatchAndTheExhaustedOneFailsWhole()
    {
        var kit = new RunKit();
        var kept = new List<Event<long>>();
        var attempts = new ConcurrentDictionary<long, int>();
        var builder = Line(
            30,
            kept,
            new BatchingPlan { MaxItems = 10, MaxWait = s_long, ErrorMode = BatchErrorMode.FailFast, Relaxed = true },
            (batch, output) =>
            {
                var attempt = attempts.AddOrUpdate(batch[0].Data, 1, (_, n) => n + 1);
                batch.Count.ShouldBe(10);
                Copy(batch, output);
                if ((batch[0].Data == 0 && attempt < 3) || batch[0].Data == 10)
                {
                    output.Fail(4, new TimeoutException("later"));
                }

                return Task.CompletedTask;
            },
            concurrency: 2,
            capabilities: HarnessBuilder.Capability(StandardCapability.Retry, new RetrySettings { Backoff = TimeSpan.Zero }));
        (await kit.RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        attempts.Select(a => (a.Key, a.Value)).ShouldBe([(0L, 3), (10L, 3), (20L, 1)], ignoreOrder: true);
        kept.Select(e => e.Data).Order().ShouldBe(Enumerable.Range(0, 30).Where(n => n is < 10 or >= 20).Select(n => (long)n));
        kit.Failures.Count.ShouldBe(10);
        kit.Failures.Select(f => f.Index).ShouldBe(Enumerable.Range(0, 10).Select(i => (int?)i));
    }

    [Fact]
    public async Task PerItem_SecondAttemptThrowsAsAWhole_WhatTheFirstMadeGoesOn()
    {
        var kit = new RunKit();
        var kept = new List<Event<long>>();
        var builder = Line(
            10,
            kept,
            new BatchingPlan { MaxItems = 10, MaxWait = s_long, ErrorMode = BatchErrorMode.PerItem },
            (batch, output) =>
            {
                if (batch.Count < 10)
                {
                    batch.Select(e => e.Data).ShouldBe([4, 7]);
                    throw new ItemException("broken", "as a whole");
                }

                Copy(batch, output);
                output.Fail(2, new ItemException("odd", "for good"));
                output.Fail(4, new TimeoutException("later"));
                output.Fail(7, new TimeoutException("later"));
                return Task.CompletedTask;
            },
            1,
            capabilities: HarnessBuilder.Capability(StandardCapability.Retry, new RetrySettings { Backoff = TimeSpan.Zero }));
        (await kit.RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        kept.Select(e => e.Data).ShouldBe([0, 1, 3, 5, 6, 8, 9]);
        kit.Failures.Select(f => (f.Index, Loom.Harness.Errors.ErrorClasses.CodeOf(f.Error))).ShouldBe([(2, "odd"), (4, "broken"), (7, "broken")]);
    }

    [Fact]
    public async Task ResultRefusedByTheOutput_IsAnErrorOfItsMemberAndTheBatchGoesOn()
    {
        var kit = new RunKit();
        var kept = new List<Event<long>>();
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(20))
            .Add("batches", () => new Batches((b, o) =>
            {
                Copy(b, o);
                return Task.CompletedTask;
            }), p => Batched(p, new BatchingPlan { MaxItems = 10 }) with { Ports = [.. p.Ports.Select(port => port.Name == "out" ? port with { Distribution = Distribution.Conditional } : port)] })
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "batches.in")
            .Bind("batches.out", "keep.in", b => b with { Condition = "data != 7" });
        (await kit.RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        kept.Count.ShouldBe(19);
        kit.Failures.Select(f => f.Id.ToString()).ShouldBe(["numbers:0:7"]);
    }

    [Theory]
    [InlineData(1, false)]
    [InlineData(3, false)]
    [InlineData(1, true)]
    public async Task Isolated_BatchesInWorkClosedAndGathering_EveryEventIsDeliveredOrADeadLetter(int concurrency, bool failFast)
    {
        var kept = new List<Event<long>>();
        var kit = new RunKit();
        SystemAssembly? seen = null;
        var builder = Line(
            95,
            kept,
            new BatchingPlan { MaxItems = 10, MaxWait = s_long, Relaxed = concurrency > 1, ErrorMode = failFast ? BatchErrorMode.FailFast : BatchErrorMode.PerItem },
            async (batch, output) =>
            {
                await Task.Yield();
                if (batch[0].Data >= 20)
                {
                    throw new ComponentFailedException("it is broken for good");
                }

                Copy(batch, output);
            },
            concurrency,
            OnExhausted.Isolate);

        var result = await kit.RunAsync(builder, started: a => seen = a);

        result.ExitCode.ShouldBe(RunResult.Failed);
        kept.Select(e => e.Data).Concat(kit.Failures.Select(f => long.Parse(f.Id.ToString().Split(':')[^1]))).ShouldBe(Enumerable.Range(0, 95).Select(n => (long)n), ignoreOrder: true);
        var counters = seen!.Run.Hosts.Single(h => h.Plan.Name == "batches").Loop.Counters;
        (counters.Taken, counters.Done, counters.Failed).ShouldBe((95, kept.Count, 95 - kept.Count));
    }

    private static HarnessBuilder Line(
        int count, List<Event<long>> kept, BatchingPlan batching, Func<Batch<long>, BatchEmitter<long>, Task> handle, int concurrency = 1, OnExhausted then = OnExhausted.FailSystem, params CapabilityPlan[] capabilities) =>
        new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(count))
            .Add("batches", () => new Batches(handle), p => Batched(p, batching) with { Concurrency = concurrency, Capabilities = capabilities, Restart = new RestartPlan { OnExhausted = then } })
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "batches.in")
            .Bind("batches.out", "keep.in");

    private static ComponentPlan Batched(ComponentPlan plan, BatchingPlan batching) => plan with { Mode = ProcessingMode.Batch, Batching = batching };

    private static void Copy(Batch<long> batch, BatchEmitter<long> output)
    {
        for (var i = 0; i < batch.Count; i++)
        {
            output.Send(i, batch[i]);
        }
    }

    private static void InterlockedMax(ref int most, int value)
    {
        int old;
        while (value > (old = Volatile.Read(ref most)) && Interlocked.CompareExchange(ref most, value, old) != old)
        {
        }
    }

    private sealed class Batches(Func<Batch<long>, BatchEmitter<long>, Task> handle) : Transformer<long, long>
    {
        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct) => output.SendAsync(e, ct);

        protected override ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct) => new(handle(batch, output));
    }

    [Input("a", typeof(long))]
    [Input("b", typeof(long))]
    [Output("left", typeof(long))]
    [Output("right", typeof(long))]
    private sealed class TwoWays(ConcurrentBag<string> seen) : StreamProcessor<long, long>
    {
        protected internal override IReadOnlyList<string> Inputs => ["a", "b"];

        protected internal override IReadOnlyList<string> Outputs => ["left", "right"];

        protected override ValueTask OnItemAsync(string port, Event<long> e, Emitter<long> output, CancellationToken ct)
        {
            seen.Add($"{port}:{e.Id.ToString()[0]}");
            return port == "a" ? output.SendAsync("left", e, ct) : output.SendAsync("right", e.With(-e.Data), ct);
        }
    }
}
