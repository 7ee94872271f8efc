namespace Loom.Control.Nodes;

/// <summary>Settings of the node registry.</summary>
public sealed record NodesOptions
{
    /// <summary>Whether nodes register here: true in CLOUD. In HOME the only node is in this process, and registering is refused with 503.</summary>
    public bool Registers { get; init; }

    /// <summary>Silence after which a node is offline. Default 30 s (<c>serving.node_timeout_ms</c>).</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Pause between two searches for silent nodes. Default 10 s (<c>serving.stale_check_interval_secs</c>).</summary>
    public TimeSpan CheckInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>An offline node is removed after this. Default a day (<c>serving.node_forget_secs</c>).</summary>
    public TimeSpan Forget { get; init; } = TimeSpan.FromDays(1);

    /// <summary>Time running work has when a node drains and nobody says how long. Default 30 s (<c>serving.drain_deadline_ms</c>).</summary>
    public TimeSpan DrainDeadline { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The latest a node is asked to beat: two beats may be lost before it counts as silent. An agent that is told to beat more often does.</summary>
    public TimeSpan NextHeartbeat => Timeout / 3;
}
