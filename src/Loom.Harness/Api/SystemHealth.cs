using Loom.Harness.Execution;

namespace Loom.Harness.Api;

/// <summary>How well a system is.</summary>
internal enum HealthState
{
    Healthy,
    Degraded,
    Unhealthy,
    Unknown,
}

/// <summary>A judgement with its reasons.</summary>
/// <param name="State">The verdict.</param>
/// <param name="Ready">Running and not unhealthy.</param>
/// <param name="Reasons">What is not as it should be, worst first.</param>
internal sealed record HealthVerdict(HealthState State, bool Ready, IReadOnlyList<string> Reasons);

/// <summary>What health is judged from besides the snapshot.</summary>
/// <param name="Running">Every component is set up and runs.</param>
/// <param name="StateFallback">Why state is in memory although a store was chosen; null when it is not.</param>
/// <param name="DeadLetterTrouble">Why dead letters cannot be written; null when they can.</param>
/// <param name="OpenBreakers">Components whose breaker is open.</param>
/// <param name="RecentRestarts">Components that were set up again within five minutes.</param>
internal sealed record HealthFacts(
    bool Running, string? StateFallback, string? DeadLetterTrouble, IReadOnlyList<string> OpenBreakers, IReadOnlyList<string> RecentRestarts)
{
    /// <summary>Alerts that fire.</summary>
    public IReadOnlyList<string> Alerts { get; init; } = [];
}

/// <summary>Judges a system from what is seen of it. Pure.</summary>
internal static class SystemHealth
{
    /// <summary>A stream with events in it from which nothing was read for so long is stalled.</summary>
    public static readonly TimeSpan StalledAfter = TimeSpan.FromSeconds(60);

    /// <summary>A restart counts for so long.</summary>
    public static readonly TimeSpan RestartCounts = TimeSpan.FromMinutes(5);

    public static HealthVerdict Judge(RunSnapshot snapshot, HealthFacts facts)
    {
        var worst = new List<string>();
        worst.AddRange(snapshot.Components.Where(c => c.State == ComponentState.Failed).Select(c => $"{c.Name} failed: {c.Reason}"));
        worst.AddRange(snapshot.Streams.Where(s => s.Depth > 0 && s.LastProgress > StalledAfter).Select(s => $"{s.Name} has not moved for {s.LastProgress.TotalSeconds:F0} s"));
        if (facts.DeadLetterTrouble is { } trouble)
        {
            worst.Add($"dead letters cannot be written: {trouble}");
        }

        var bad = new List<string>();
        bad.AddRange(snapshot.Components.Where(c => c.State == ComponentState.Paused).Select(c => $"{c.Name} is paused: {c.Reason}"));
        bad.AddRange(facts.OpenBreakers.Select(c => $"the circuit breaker of {c} is open"));
        bad.AddRange(facts.RecentRestarts.Select(c => $"{c} was restarted"));
        if (snapshot.Checkpoints?.LastError is { } error)
        {
            bad.Add($"the last checkpoint was abandoned: {error}");
        }

        bad.AddRange(snapshot.Streams.Where(s => s.Trouble is not null).Select(s => $"{s.Name} cannot spill: {s.Trouble}"));
        if (facts.StateFallback is { } fallback)
        {
            bad.Add($"state is in memory: {fallback}");
        }

        bad.AddRange(facts.Alerts.Select(a => $"alert {a} fires"));
        var state = worst.Count > 0 ? HealthState.Unhealthy : !facts.Running ? HealthState.Unknown : bad.Count > 0 ? HealthState.Degraded : HealthState.Healthy;
        return new HealthVerdict(state, facts.Running && worst.Count == 0, [.. worst, .. bad]);
    }
}
