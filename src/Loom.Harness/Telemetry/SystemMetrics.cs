using System.Text.Json;
using Loom.Components;
using Loom.Harness.Alerts;
using Loom.Harness.Capabilities;
using Loom.Harness.Execution;

namespace Loom.Harness.Telemetry;

/// <summary>Every metric of a system but its distributions and those its components define: what <c>/metrics</c> shows and alerts and <c>rules</c> ask for.</summary>
internal static class SystemMetrics
{
    /// <summary>Before every name outside of expressions.</summary>
    public const string Prefix = "loom_harness_";

    /// <summary>Before the names of metrics that components define; expressions take any of them, since only a run knows which there are.</summary>
    public const string OwnPrefix = "component_";

    /// <summary>All of them, by name.</summary>
    public static IReadOnlyList<SystemMetric> All { get; } =
    [
        .. Components(), .. Streams(), .. Capabilities(), .. Checkpoints(), .. Process(),
    ];

    /// <summary>Names an expression may use: each metric, and sum and count of each distribution.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. All.Select(m => m.Name), .. DistributionMetric.Names.SelectMany(n => new[] { n + "_count", n + "_sum" }),
    ];

    private static readonly Dictionary<string, SystemMetric> s_byName = All.ToDictionary(m => m.Name, StringComparer.Ordinal);

    /// <summary>The series of a metric; none for a name nothing is known under.</summary>
    public static IEnumerable<MetricPoint> Read(string name, MetricView view) =>
        s_byName.TryGetValue(name, out var metric) ? metric.Read(view)
        : name.StartsWith(OwnPrefix, StringComparison.Ordinal) ? ComponentMetrics.Read(name[OwnPrefix.Length..], view)
        : DistributionMetric.Read(name, view);

    /// <summary>A state or an outcome as it is written everywhere.</summary>
    public static string Word<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString());

    public static KeyValuePair<string, object?> Label(string name, string value) => new(name, value);

    private static IEnumerable<SystemMetric> Components() =>
    [
        Counter("items_total", "Events a component handled, by what became of them.", v => v.Snapshot.Components.SelectMany(Items)),
        Counter("finished_total", "Events that came to an end, by which: delivered to a sink, filtered, or dead-lettered.", Finished),
        Counter("emitted_total", "Events a component sent on.", v => v.Snapshot.Components.Select(c => Of(c.Emitted, c.Name))),
        Counter("unbound_total", "Events a component sent to outputs nothing is bound to.", v => v.Snapshot.Components.Select(c => Of(c.Unbound, c.Name))),
        Counter("restarts_total", "Times a component was set up again.", v => v.Snapshot.Components.Select(c => Of(c.Restarts, c.Name))),
        Gauge("component_state", "1 for the state a component is in.", v => v.Snapshot.Components.Select(c => new MetricPoint(1, Label("component", c.Name), Label("state", Word(c.State))))),
        Gauge("source_lag", "What a source has still to read, in the unit it can tell: bytes, files, rows or events.", v => v.Hosts.SelectMany(Lag)),
        Gauge("dead_letters_unwritable", "1 while dead letters cannot be written.", v => [new MetricPoint(v.Assembly.Materials.Facts.DeadLetterTrouble() is null ? 0 : 1)]),
        Counter("dead_letters_total", "Events that went to the dead letter, by code of the error.", v => v.DeadLetters.Select(d => new MetricPoint(d.Value, Label("code", d.Key)))),
    ];

    private static IEnumerable<SystemMetric> Streams() =>
    [
        Gauge("stream_depth", "Events in a stream.", v => v.Snapshot.Streams.Select(s => OfStream(s.Depth, s.Name))),
        Gauge("stream_capacity", "Events a stream may hold.", v => v.Snapshot.Streams.Select(s => OfStream(s.Capacity, s.Name))),
        Counter("stream_events_total", "Events read from a stream.", v => v.Snapshot.Streams.Select(s => OfStream(s.Out, s.Name))),
        Counter("stream_dropped_total", "Events a stream gave up by its overflow rule or by age.", v => v.Snapshot.Streams.Select(s => OfStream(s.Dropped, s.Name))),
        Counter("stream_blocked_seconds_total", "Time the writer of a stream waited for room.", v => v.Snapshot.Streams.Select(s => OfStream(s.Blocked.TotalSeconds, s.Name))),
        Counter("stream_starved_seconds_total", "Time the reader of a stream waited for an event.", v => v.Snapshot.Streams.Select(s => OfStream(s.Starved.TotalSeconds, s.Name))),
        Gauge("stalled_seconds", "Longest time for which a stream has held events and none was read from it.", v => [new MetricPoint(v.Snapshot.Streams.Where(s => s.Depth > 0).Select(s => s.LastProgress.TotalSeconds).DefaultIfEmpty(0).Max())]),
    ];

    private static IEnumerable<SystemMetric> Capabilities() =>
    [
        Counter("capability_calls_total", "Calls of a capability, by outcome.", v => Links(v).SelectMany(l => new[] { Link(l, l.Counts.Calls - l.Counts.Failures, "ok"), Link(l, l.Counts.Failures, "failed") })),
        Counter("capability_waits_total", "Calls a capability made wait: for its rate, for its breaker to close, for another attempt.", v => Links(v).Select(l => Link(l, l.Counts.Waits, null))),
        Gauge("breaker_open", "1 while a circuit breaker is not closed.", v => v.Assembly.Links.Where(l => l.Value.Breaker is not null).Select(l => Of(l.Value.Breaker!.State == BreakerState.Closed ? 0 : 1, l.Key))),
    ];

    private static IEnumerable<SystemMetric> Checkpoints() =>
    [
        Counter("checkpoints_total", "Checkpoints that are complete.", v => Of(v.Snapshot.Checkpoints, static c => c.Taken)),
        Counter("checkpoint_failures_total", "Checkpoints that were abandoned.", v => Of(v.Snapshot.Checkpoints, static c => c.Failed)),
        Gauge("checkpoint_failing", "1 while the newest attempt at a checkpoint failed.", v => Of(v.Snapshot.Checkpoints, static c => c.LastError is null ? 0 : 1)),
        Gauge("checkpoint_bytes", "State in the last complete checkpoint.", v => Of(v.Snapshot.Checkpoints, static c => c.Last?.Bytes ?? 0)),
        Gauge("checkpoint_age_intervals", "Time since the last complete checkpoint, or since the start, in intervals of checkpoints.", v => Of(v.Snapshot.Checkpoints, c => v.Assembly.Checkpoints!.Age / v.Assembly.Materials.Checkpoints.Interval)),
        Gauge("state_in_memory", "1 while state is kept in memory because its store cannot be reached.", v => v.Assembly.State is { } state ? [new MetricPoint(state.Fallback is null ? 0 : 1)] : []),
    ];

    private static IEnumerable<SystemMetric> Process() =>
    [
        Gauge("alert_firing", "1 for each alert that fires.", v => v.Assembly.Monitor.Alerts.Status.Where(a => a.State == AlertState.Firing)
            .Select(a => new MetricPoint(1, Label("alert", a.Rule.Name), Label("severity", Word(a.Rule.Severity))))),
        Gauge("memory_bytes", "Memory of the process.", v => v.Resources?.RssMb is { } mb ? [new MetricPoint(mb * 1024 * 1024)] : []),
        Gauge("memory_limit_ratio", "Memory of the process as a share of policy.resource_limits.max_memory_mb.", v => v.Assembly.Plan.Policy.MaxMemoryMb is { } most && v.Resources?.RssMb is { } mb ? [new MetricPoint(mb / most)] : []),
        Gauge("cpu_ratio", "Share of all cores the process used in the last second.", v => v.Resources?.CpuPercent is { } percent ? [new MetricPoint(percent / 100 / Environment.ProcessorCount)] : []),
        Gauge("disk_free_ratio", "Free share of the disk the system lies on.", v => v.Resources?.DiskFreeRatio is { } ratio ? [new MetricPoint(ratio)] : []),
    ];

    private static IEnumerable<MetricPoint> Items(ComponentSnapshot c) =>
    [
        Item(c.Done - c.Filtered, c.Name, "done"), Item(c.Filtered, c.Name, "filtered"), Item(c.Failed, c.Name, "dead_lettered"),
    ];

    private static IEnumerable<MetricPoint> Finished(MetricView view)
    {
        foreach (var (c, host) in view.Snapshot.Components.Zip(view.Hosts))
        {
            yield return Item(host.Loop.Counters.IsEnd ? c.Done : 0, c.Name, "delivered");
            yield return Item(c.Filtered, c.Name, "filtered");
            yield return Item(c.Failed, c.Name, "dead_lettered");
        }
    }

    private static MetricPoint Item(long value, string component, string outcome) => new(value, Label("component", component), Label("outcome", outcome));

    private static IEnumerable<MetricPoint> Lag(ComponentHost host) => host.Plan.Type == ComponentType.Source
        ? host.Loop.Metrics.Gauges.Where(g => g.Key.StartsWith("behind_", StringComparison.Ordinal)).Select(g => Of(g.Value, host.Plan.Name))
        : [];

    private static IEnumerable<(string Component, CapabilityCounts Counts)> Links(MetricView view) =>
        view.Hosts.SelectMany(h => CapabilityCounts.Of(view.Assembly.Links[h.Plan.Name], h.Loop.Counters).Select(c => (h.Plan.Name, c)));

    private static MetricPoint Link((string Component, CapabilityCounts Counts) of, long value, string? outcome) => outcome is null
        ? new MetricPoint(value, Label("component", of.Component), Label("capability", of.Counts.Capability))
        : new MetricPoint(value, Label("component", of.Component), Label("capability", of.Counts.Capability), Label("outcome", outcome));

    private static IEnumerable<MetricPoint> Of(CheckpointsSnapshot? checkpoints, Func<CheckpointsSnapshot, double> read) =>
        checkpoints is null ? [] : [new MetricPoint(read(checkpoints))];

    private static MetricPoint Of(double value, string component) => new(value, Label("component", component));

    private static MetricPoint OfStream(double value, string stream) => new(value, Label("stream", stream));

    private static SystemMetric Counter(string name, string help, Func<MetricView, IEnumerable<MetricPoint>> read) => new(name, MetricKind.Counter, help, read);

    private static SystemMetric Gauge(string name, string help, Func<MetricView, IEnumerable<MetricPoint>> read) => new(name, MetricKind.Gauge, help, read);
}
