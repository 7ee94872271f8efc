using System.Diagnostics.Metrics;

namespace Loom.Control.Nodes;

/// <summary>What is counted about nodes. Labels are words of ours, never of nodes.</summary>
internal sealed class NodeMetrics(Meter meter)
{
    private readonly Counter<long> _registrations = meter.CreateCounter<long>("orchd_node_registrations_total", description: "Registrations of nodes.");
    private readonly Counter<long> _heartbeats = meter.CreateCounter<long>("orchd_node_heartbeats_total", description: "Heartbeats of nodes.");
    private readonly Counter<long> _deregistrations = meter.CreateCounter<long>("orchd_node_deregistrations_total", description: "Nodes that left or were removed.");

    /// <summary>Adds the gauge of nodes by state.</summary>
    public void Observe(Func<IEnumerable<(string State, int Count)>> nodes) => meter.CreateObservableGauge<int>(
        "orchd_nodes",
        () => nodes().Select(n => new Measurement<int>(n.Count, new KeyValuePair<string, object?>("state", n.State))),
        description: "Nodes known.");

    public void Registered(RegisterOutcome outcome) => _registrations.Add(1, Outcome(outcome switch
    {
        RegisterOutcome.New => "new",
        RegisterOutcome.Again => "again",
        RegisterOutcome.Restarted => "restarted",
        RegisterOutcome.Replaced => "replaced",
        _ => "refused",
    }));

    public void Beaten(BeatOutcome outcome) => _heartbeats.Add(1, Outcome(outcome switch
    {
        BeatOutcome.Unknown => "unknown",
        BeatOutcome.Older => "older",
        BeatOutcome.Same => "same",
        _ => "changed",
    }));

    public void Left(string outcome) => _deregistrations.Add(1, Outcome(outcome));

    private static KeyValuePair<string, object?> Outcome(string outcome) => new("outcome", outcome);
}
