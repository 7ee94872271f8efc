namespace Loom.Control.Nodes;

/// <summary>Where a node stands. One that was removed is not known any more.</summary>
public enum NodeState
{
    /// <summary>It registered and has not beaten yet; it gets no work.</summary>
    Registering,

    /// <summary>It beats.</summary>
    Online,

    /// <summary>It was silent for longer than the timeout; still listed.</summary>
    Offline,
}

/// <summary>
/// What speech and silence make of one node: a pure state machine. Times are those of the control plane's own monotonic clock, never of the node's.
/// </summary>
/// <param name="State">Where it stands.</param>
/// <param name="HeardAt">When it last spoke.</param>
/// <param name="Since">When it entered its state.</param>
/// <param name="Doubted">It seems silent, but so do too many: it gets no work until the next check says whether that is true.</param>
/// <param name="Refused">It refused a connection: it gets no work until it beats.</param>
internal readonly record struct NodeLife(NodeState State, TimeSpan HeardAt, TimeSpan Since, bool Doubted, bool Refused)
{
    /// <summary>Whether its replicas may get work.</summary>
    public bool TakesWork => State == NodeState.Online && !Doubted && !Refused;

    /// <summary>A node that has just registered, for the first time or as a new instance.</summary>
    public static NodeLife Registered(TimeSpan now) => new(NodeState.Registering, now, now, Doubted: false, Refused: false);

    /// <summary>The same instance registered once more: that it speaks is all there is to it, unless it was offline.</summary>
    public NodeLife RegisteredAgain(TimeSpan now) => State == NodeState.Offline ? Registered(now) : this with { HeardAt = now, Doubted = false };

    /// <summary>It beat.</summary>
    public NodeLife Beaten(TimeSpan now) => new(NodeState.Online, now, State == NodeState.Online ? Since : now, Doubted: false, Refused: false);

    /// <summary>Whether it has been silent for too long; an offline node cannot be.</summary>
    public bool IsStale(TimeSpan now, TimeSpan timeout) => State != NodeState.Offline && now - HeardAt > timeout;

    /// <summary>It is taken for lost.</summary>
    public NodeLife Lost(TimeSpan now) => new(NodeState.Offline, HeardAt, now, Doubted: false, Refused: false);

    /// <summary>Whether it has been offline for so long that it is forgotten.</summary>
    public bool IsForgotten(TimeSpan now, TimeSpan forget) => State == NodeState.Offline && now - Since >= forget;
}
