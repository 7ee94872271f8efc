using Loom.Harness.Architecture.Chains;
using Loom.Harness.Capabilities;
using Loom.Harness.Execution;

namespace Loom.Harness.Telemetry;

/// <summary>Values that are counted by size.</summary>
internal interface IDistribution
{
    /// <summary>Values so far.</summary>
    long Count { get; }

    /// <summary>Their sum; of durations in seconds.</summary>
    double Sum { get; }

    /// <summary>Told each value, on the thread that measures it; null = nobody listens.</summary>
    Action<double>? Observed { get; set; }
}

/// <summary>Sizes, of which only number and sum are kept.</summary>
internal sealed class SizeCounts : IDistribution
{
    private long _count;
    private long _sum;

    public long Count => Interlocked.Read(ref _count);

    public double Sum => Interlocked.Read(ref _sum);

    public Action<double>? Observed { get; set; }

    public void Add(int size)
    {
        Interlocked.Increment(ref _count);
        Interlocked.Add(ref _sum, size);
        Observed?.Invoke(size);
    }
}

/// <summary>A metric that is a distribution: a histogram for Prometheus and OTLP, <c>NAME_count</c> and <c>NAME_sum</c> in expressions.</summary>
/// <param name="Name">Without the prefix.</param>
/// <param name="Help">One line for people.</param>
/// <param name="Unit">Of its values.</param>
/// <param name="Bounds">Upper edges of the buckets.</param>
/// <param name="Series">What is measured in a run, with labels.</param>
internal sealed record DistributionMetric(
    string Name, string Help, string Unit, IReadOnlyList<double> Bounds, Func<SystemAssembly, IEnumerable<(IDistribution Values, KeyValuePair<string, object?>[] Labels)>> Series)
{
    private static readonly double[] s_seconds = [0.00001, 0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60];

    public static IReadOnlyList<DistributionMetric> All { get; } =
    [
        new("item_seconds", "Time a component took for an event or a batch; one event in 64 is timed, every batch is.", "s", s_seconds, a => Innermost(a).Select(l => ((IDistribution)l.Counters.Seconds, Labels(l.Component, null)))),
        new("batch_size", "Events in a batch.", "", [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024], a => Innermost(a).Select(l => ((IDistribution)l.Counters.Sizes, Labels(l.Component, null)))),
        new("capability_seconds", "Time a capability held an event up; for Timeout the time of attempts that waited for something.", "s", s_seconds, a => a.Links.SelectMany(l => l.Value.Counters
            .Where(c => c.Key != StandardCapability.Metrics.Name).Select(c => ((IDistribution)c.Value.Seconds, Labels(l.Key, c.Key))))),
        new("checkpoint_seconds", "Time a complete checkpoint took, from its barrier until it was stored.", "s", s_seconds, a => a.Checkpoints is { } c ? [(c.Durations, [])] : []),
    ];

    public static IEnumerable<string> Names => All.Select(d => d.Name);

    /// <summary>Series of <c>NAME_count</c> or <c>NAME_sum</c>; none for any other name.</summary>
    public static IEnumerable<MetricPoint> Read(string name, MetricView view)
    {
        var isCount = name.EndsWith("_count", StringComparison.Ordinal);
        var bare = isCount ? name[..^"_count".Length] : name.EndsWith("_sum", StringComparison.Ordinal) ? name[..^"_sum".Length] : "";
        return All.FirstOrDefault(d => d.Name == bare)?.Series(view.Assembly).Select(s => new MetricPoint(isCount ? s.Values.Count : s.Values.Sum, s.Labels)) ?? [];
    }

    // The link that every call of a component passes; a source has none.
    private static IEnumerable<(string Component, LinkCounters Counters)> Innermost(SystemAssembly assembly) =>
        assembly.Links.Where(l => l.Value.Counters.ContainsKey(StandardCapability.Metrics.Name)).Select(l => (l.Key, l.Value.Counters[StandardCapability.Metrics.Name]));

    private static KeyValuePair<string, object?>[] Labels(string component, string? capability) => capability is null
        ? [SystemMetrics.Label("component", component)]
        : [SystemMetrics.Label("component", component), SystemMetrics.Label("capability", capability)];
}
