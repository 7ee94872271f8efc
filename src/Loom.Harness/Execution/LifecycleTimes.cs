namespace Loom.Harness.Execution;

/// <summary>How long each phase may take; from <c>policy.lifecycle</c>, else from the settings of the same names.</summary>
internal sealed record LifecycleTimes
{
    public static readonly TimeSpan LongestRestart = TimeSpan.FromSeconds(10);

    /// <summary><c>harness.setup_timeout</c>, for each component.</summary>
    public TimeSpan Setup { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary><c>harness.drain_timeout</c>, from the stop to empty streams.</summary>
    public TimeSpan Drain { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary><c>harness.cancel_timeout</c>, for what was cancelled.</summary>
    public TimeSpan Cancel { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary><c>harness.cleanup_timeout</c>, for each component.</summary>
    public TimeSpan Cleanup { get; init; } = TimeSpan.FromSeconds(10);
}
