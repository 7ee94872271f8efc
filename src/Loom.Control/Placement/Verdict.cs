namespace Loom.Control.Placement;

/// <summary>What the filter says of one replica for one request: the first reason against it, in the order in which the filter asks.</summary>
internal enum Verdict : byte
{
    /// <summary>It can take the request now.</summary>
    Candidate,

    /// <summary>Its node has fallen silent.</summary>
    NodeOffline,

    /// <summary>Its node gets no new work.</summary>
    NodeDraining,

    /// <summary>It is being provisioned, started or restarted, or has no address.</summary>
    NotReady,

    /// <summary>Its pool is being emptied.</summary>
    Draining,

    /// <summary>Nothing is loaded.</summary>
    Stopped,

    /// <summary>Its breaker is open, or it has failed for good.</summary>
    Failed,

    /// <summary>It refused a connection a moment ago.</summary>
    Suspect,

    /// <summary>It has failed this request before.</summary>
    Tried,

    /// <summary>It is being swapped to another model.</summary>
    Swapping,

    /// <summary>It has another model loaded.</summary>
    OtherModel,

    /// <summary>The request needs another kind of engine.</summary>
    EngineKind,

    /// <summary>Its engine does not offer the route.</summary>
    Workload,

    /// <summary>Its slots hold too few tokens.</summary>
    Ctx,

    /// <summary>It lacks a device the request needs.</summary>
    Devices,

    /// <summary>The request is pinned to another pool.</summary>
    NotPinned,

    /// <summary>The request avoids its pool.</summary>
    Avoided,

    /// <summary>It is kept for a request that has waited long for another model.</summary>
    Reserved,

    /// <summary>All its slots are in use.</summary>
    NoFreeSlot,
}

/// <summary>Verdicts in words.</summary>
internal static class Verdicts
{
    private static readonly string[] s_words =
    [
        "candidate", "node offline", "node draining", "not ready", "draining", "stopped", "failed", "connection refused a moment ago", "failed this request before",
        "being swapped", "another model is loaded", "engine kind", "route not offered", "context too small", "device mask", "pinned to another pool", "pool avoided",
        "kept for a request that waits for another model", "no free slot",
    ];

    /// <summary>The verdict as the explain view says it.</summary>
    public static string Words(this Verdict verdict) => s_words[(int)verdict];
}
