using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>
/// What a node must know of the requests on a replica, which only those who forward them know: in HOME the control plane, in CLOUD the agent's own proxy.
/// A url names one run of a replica (<c>http://127.0.0.1:28080/v1</c>); after a reload or a restart on another port there is a new one.
/// </summary>
public interface IReplicaTraffic
{
    /// <summary>
    /// Waits until no request of the replica runs at that url, and none can begin there any more. The node has published that the replica takes no work at
    /// that url (another url, none, or a state that takes no work) before it asks; whoever answers must have taken that over before it says true, or a
    /// request that was just being placed would meet a dead engine.
    /// </summary>
    /// <param name="replica">The replica.</param>
    /// <param name="url">Its engine's base address.</param>
    /// <param name="deadline">Ends the wait; the answer is then false.</param>
    /// <returns>True = quiet.</returns>
    Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline);

    /// <summary>Ends the requests that still run there; their clients get <c>POOL_UNREADY</c>. Never blocks.</summary>
    void Cut(ReplicaId replica, string url);

    /// <summary>
    /// How long no request has run there; zero while one runs. Decides when <c>idle_ttl_secs</c> unloads. Null = not known, and the node watches the engine's
    /// slots itself.
    /// </summary>
    TimeSpan? IdleFor(ReplicaId replica, string url) => null;
}
