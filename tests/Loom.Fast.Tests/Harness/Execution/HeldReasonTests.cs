using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

/// <summary>Why a component is held is told by <c>ps</c>, the API and health: without what nobody is to see of the events it failed on.</summary>
public sealed class HeldReasonTests
{
    [Fact]
    public async Task Hold_MessageThatQuotesTheEvent_IsCleanedByIt()
    {
        var failed = 0;
        var transformer = () => new Apply((e, output, ct) => Interlocked.Increment(ref failed) == 1
            ? throw new ItemException("wrong_key", "the key is wrong for 0", ErrorClass.Configuration)
            : output.SendAsync(e.Derive(e.Data), ct));
        (await ReasonAsync(new HarnessBuilder("line").Add("numbers", () => new Numbers(1)).Add("middle", transformer))).ShouldBe("wrong_key: the key is wrong for [middle.in]");
    }

    [Fact]
    public async Task Hold_OfABatch_IsCleanedByEachOfItsEvents()
    {
        var failed = 0;
        var batches = () => new Batches(events => Interlocked.Increment(ref failed) == 1
            ? throw new ItemException("wrong_key", "the key is wrong for " + string.Join(" and ", events), ErrorClass.Configuration)
            : default);
        (await ReasonAsync(new HarnessBuilder("line").Add("numbers", () => new Numbers(2)).Add("middle", batches, InTwos))).ShouldBe("wrong_key: the key is wrong for [middle.in] and [middle.in]");
    }

    private static ComponentPlan InTwos(ComponentPlan plan) => plan with { Mode = ProcessingMode.Batch, Batching = new BatchingPlan { MaxItems = 2, MaxWait = TimeSpan.FromMinutes(1) } };

    private static async Task<string?> ReasonAsync(HarnessBuilder builder)
    {
        string? reason = null;
        var kept = new List<Event<long>>();
        var kit = new RunKit { Clean = static (f, text) => text.Replace(f.Payload.GetRawText(), $"[{f.Component}.{f.Port}]", StringComparison.Ordinal) };
        using var assembly = kit.Assemble(builder.Add("keep", () => new Keep(kept)).Bind("numbers.out", "middle.in").Bind("middle.out", "keep.in"));
        var run = assembly.Run.RunAsync(new RunTokens(default, default));
        await Deadline.Until(
            () =>
            {
                var pause = assembly.Run.Hosts.Single(h => h.Plan.Name == "middle").Loop.Pause;
                return (reason = pause.Reason) is not null && pause.Release();
            },
            "the component is held");
        (await run.WaitAsync(TimeSpan.FromSeconds(180))).ExitCode.ShouldBe(0);
        kept.ShouldNotBeEmpty();
        return reason;
    }

    private sealed class Batches(Func<IEnumerable<long>, ValueTask> look) : Transformer<long, long>
    {
        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct) => output.SendAsync(e, ct);

        protected override async ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            await look([.. batch.Select(static e => e.Data)]);
            for (var i = 0; i < batch.Count; i++)
            {
                output.Send(i, batch[i]);
            }
        }
    }
}
