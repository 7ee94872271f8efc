using Loom.Components;
using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Capabilities;

/// <summary>Hooks of capabilities around a batch: <c>before_receive_batch</c> from the outside in, <c>after_send_batch</c> from the inside out; one without them has its item hooks called for each member.</summary>
public sealed class BatchHookTests
{
    [Theory]
    [InlineData(false, "outer.receive(3) inner.before inner.before inner.before inner.in inner.in inner.in handler inner.out inner.out inner.out inner.after inner.after inner.after outer.send(3)")]
    [InlineData(true, "outer.receive(3) inner.before inner.before inner.before inner.in inner.in inner.in handler inner.after! inner.after! inner.after! outer.send(3)!")]
    public async Task Batch_OfThree_HooksInOrderAlsoWhenItFails(bool fails, string expected)
    {
        var trace = new List<string>();
        var builder = new HarnessBuilder("hooks")
            .Add("from", () => new Numbers(3))
            .Add("part", () => new Part(trace, fails), p => p with
            {
                Batching = new BatchingPlan { MaxItems = 3, MaxWait = TimeSpan.FromSeconds(60), ErrorMode = BatchErrorMode.FailFast },
                Capabilities = [Own("outer", 12), .. p.Capabilities, Own("inner", 45)],
            })
            .Bind("from.out", "part.in");
        var around = new CodedSurroundings { CreateCapability = c => c.Name == "outer" ? new Outer(trace) : new Inner(trace) };
        await using var run = await CodedRun.LoadAsync(builder, around);
        (await run.RunAsync()).ExitCode.ShouldBe(RunResult.Ended);
        string.Join(' ', trace).ShouldBe(expected);
        run.Failures.Count.ShouldBe(fails ? 3 : 0);
    }

    // One of five is answered by the capability itself, one is refused by it, one fails in the handler and is swallowed, one fails behind it.
    [Fact]
    public async Task Around_OfMembers_EachIsTreatedAsIfItCameAlone()
    {
        var trace = new List<string>();
        var kept = new List<Event<long>>();
        var builder = new HarnessBuilder("hooks")
            .Add("from", () => new Numbers(6))
            .Add("part", () => new Doubles(trace), p => p with
            {
                Batching = new BatchingPlan { MaxItems = 6, MaxWait = TimeSpan.FromSeconds(60) },
                Capabilities = [.. p.Capabilities, Own("choosy", 45)],
            })
            .Add("keep", () => new Keep(kept))
            .Bind("from.out", "part.in")
            .Bind("part.out", "keep.in");
        await using var run = await CodedRun.LoadAsync(builder, new CodedSurroundings { CreateCapability = _ => new Choosy() });
        (await run.RunAsync()).ExitCode.ShouldBe(RunResult.Ended);
        trace.ShouldBe(["0 3 4 5"]); // once, without the one that was answered and the one that was refused
        kept.Select(e => e.Data).ShouldBe([0L, 10]);
        run.Failures.Select(f => f.Error.Message).ShouldBe(["2 refused", "4 is too late"], ignoreOrder: true);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Around_OfALargeBatch_NeedsNoDeepStack(bool yields)
    {
        var trace = new List<string>();
        var builder = new HarnessBuilder("hooks")
            .Add("from", () => new Numbers(20_000))
            .Add("part", () => new Part(trace, fails: false), p => p with
            {
                Batching = new BatchingPlan { MaxItems = 10_000, MaxWait = TimeSpan.FromSeconds(60) },
                Capabilities = [.. p.Capabilities, Own("passes", 45)],
            })
            .Bind("from.out", "part.in");
        await using var run = await CodedRun.LoadAsync(builder, new CodedSurroundings { CreateCapability = _ => new Passes(yields) });
        (await run.RunAsync()).ExitCode.ShouldBe(RunResult.Ended);
        trace.ShouldBe(["handler", "handler"]);
        run.Failures.ShouldBeEmpty();
    }

    private sealed class Passes(bool yields) : Capability
    {
        protected internal override async ValueTask AroundProcessAsync(ItemContext item, Func<CancellationToken, ValueTask> next, CancellationToken ct)
        {
            if (yields)
            {
                await Task.Yield();
            }

            await next(ct);
        }
    }

    private sealed class Choosy : Capability
    {
        protected internal override async ValueTask AroundProcessAsync(ItemContext item, Func<CancellationToken, ValueTask> next, CancellationToken ct)
        {
            var n = (long)item.Data!;
            if (n == 1)
            {
                return;
            }

            if (n == 2)
            {
                throw new ItemException("refused", "2 refused");
            }

            try
            {
                await next(ct);
            }
            catch (ItemException) when (n == 3)
            {
            }

            if (n == 4)
            {
                throw new ItemException("late", "4 is too late");
            }
        }
    }

    private sealed class Doubles(List<string> trace) : Transformer<long, long>
    {
        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct) => default;

        protected override ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            trace.Add(string.Join(' ', batch.Select(e => e.Data)));
            for (var i = 0; i < batch.Count; i++)
            {
                if (batch[i].Data == 3)
                {
                    output.Fail(i, new ItemException("bad", "3 is bad"));
                }
                else
                {
                    output.Send(i, batch[i].Derive(batch[i].Data * 2));
                }
            }

            return default;
        }
    }

    private static CapabilityPlan Own(string name, int tier) => new(name, tier, Kernel: false, default) { Declared = true, Uses = new UsesPlan { Class = name } };

    private sealed class Outer(List<string> trace) : Capability
    {
        protected internal override ValueTask BeforeReceiveBatchAsync(BatchContext batch, CancellationToken ct)
        {
            trace.Add($"outer.receive({batch.Items.Count})");
            return default;
        }

        protected internal override ValueTask AfterSendBatchAsync(BatchContext batch, Exception? error, CancellationToken ct)
        {
            trace.Add($"outer.send({batch.Items.Count}){(error is null ? "" : "!")}");
            return default;
        }
    }

    private sealed class Inner(List<string> trace) : Capability
    {
        protected internal override ValueTask BeforeProcessAsync(ItemContext item, CancellationToken ct)
        {
            trace.Add("inner.before");
            return default;
        }

        protected internal override async ValueTask AroundProcessAsync(ItemContext item, Func<CancellationToken, ValueTask> next, CancellationToken ct)
        {
            trace.Add("inner.in");
            await next(ct);
            trace.Add("inner.out");
        }

        protected internal override ValueTask AfterProcessAsync(ItemContext item, Exception? error, CancellationToken ct)
        {
            trace.Add($"inner.after{(error is null ? "" : "!")}");
            return default;
        }
    }

    private sealed class Part(List<string> trace, bool fails) : Sink<long>
    {
        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct) => default;

        protected override ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            trace.Add("handler");
            return fails ? throw new ItemException("bad", "no") : default;
        }
    }
}
