using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Execution;

namespace Loom.Harness.Benchmarks;

/// <summary>Loom's own contenders: whole systems through the real wiring, loops and chains; only disk and state are left out.</summary>
internal static class OurSystems
{
    public const string Items = "loom";

    /// <summary>A source, components that pass events on, and a sink: as many hops as there are streams.</summary>
    /// <param name="items">Events.</param>
    /// <param name="hops">Streams.</param>
    /// <param name="time">Clock.</param>
    /// <param name="shape">Changes the plan of each component between source and sink, and of the sink.</param>
    public static Contender Line(long items, int hops, TimeProvider time, Func<ComponentPlan, ComponentPlan>? shape = null) =>
        new(Items, items, ct => RunLineAsync(items, hops, time, shape, static _ => { }, ct));

    /// <summary>The same, with a look at the system before it runs.</summary>
    public static async Task<TimeSpan> RunLineAsync(
        long items, int hops, TimeProvider time, Func<ComponentPlan, ComponentPlan>? shape, Action<SystemAssembly> before, CancellationToken ct)
    {
        var sink = new CountingSink();
        var builder = new HarnessBuilder("bench").Add("source", () => new CountingSource(items));
        for (var i = 1; i < hops; i++)
        {
            builder.Add($"pass{i}", static () => new PassOn(), shape);
        }

        builder.Add("sink", () => sink, shape);
        for (var i = 0; i < hops; i++)
        {
            builder.Bind(i == 0 ? "source.out" : $"pass{i}.out", i == hops - 1 ? "sink.in" : $"pass{i + 1}.in");
        }

        using var assembly = BenchSystem.Assemble(builder.Plan(Path.GetTempPath()), builder.Create, time);
        before(assembly);
        var took = await BenchSystem.RunAsync(assembly, time, ct).ConfigureAwait(false);
        return sink.Count == items ? took : throw new InvalidOperationException($"{sink.Count} of {items} items arrived");
    }

    /// <summary>The chain of seven on every component but the source.</summary>
    public static ComponentPlan WithChain(ComponentPlan plan) => plan with
    {
        Capabilities =
        [
            HarnessBuilder.Capability(StandardCapability.SchemaValidator),
            HarnessBuilder.Capability(StandardCapability.RateLimiter, new RateLimiterSettings { Rate = 1_000_000_000, Burst = 1_000_000_000 }),
            HarnessBuilder.Capability(StandardCapability.State),
            HarnessBuilder.Capability(StandardCapability.Retry, new RetrySettings()),
            HarnessBuilder.Capability(StandardCapability.CircuitBreaker, new CircuitBreakerSettings()),
            HarnessBuilder.Capability(StandardCapability.Timeout, new TimeoutSettings()),
            HarnessBuilder.Capability(StandardCapability.Metrics, new MetricsSettings()),
        ],
    };

    public static ComponentPlan InBatches(ComponentPlan plan) => plan with { Mode = ProcessingMode.Batch, Batching = new BatchingPlan() };

    private sealed class CountingSource(long items) : Source<long>
    {
        private long _next;

        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct) =>
            new(_next < items ? Read<long>.Item(_next, _next, ++_next) : Read<long>.End);
    }

    private sealed class PassOn : Transformer<long, long>
    {
        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct) => output.SendAsync(e, ct);

        protected override ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            for (var i = 0; i < batch.Count; i++)
            {
                output.Send(i, batch[i]);
            }

            return default;
        }
    }

    private sealed class CountingSink : Sink<long>
    {
        public long Count { get; private set; }

        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            Count++;
            return default;
        }

        protected override ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            Count += batch.Count;
            return default;
        }
    }
}
