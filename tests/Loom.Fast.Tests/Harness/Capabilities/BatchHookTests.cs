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
