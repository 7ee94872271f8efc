using System.Collections.Immutable;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>What a pool does to the world. The real one is <see cref="PoolEffects"/>; tests bring one that records.</summary>
public interface IPoolEffects
{
    /// <summary>Makes the owner of one engine process, at rest.</summary>
    /// <param name="order">Which engine.</param>
    /// <param name="publish">Called in order with each new state; returns at once.</param>
    EngineLoop Engine(EngineOrder order, Action<EngineState> publish);

    /// <summary>Fetches and checks engine and model of a plan.</summary>
    /// <exception cref="ProvisionException">It cannot be had.</exception>
    Task<PreparedEngine> PrepareAsync(PoolPlan plan, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken);

    /// <summary>Whether the cores suffice for the old and the new engine of every replica at once.</summary>
    /// <param name="old">What runs.</param>
    /// <param name="run">Its run; null = it rests.</param>
    /// <param name="next">What is to take over.</param>
    /// <param name="prepared">What provisioning found for it.</param>
    bool CoresSuffice(PoolPlan old, EngineRun? run, PoolPlan next, PreparedEngine prepared);

    /// <summary>Has a running engine make one token; null = it did, or it is an engine without completions. Else what is wrong.</summary>
    Task<string?> WarmAsync(PoolPlan plan, EngineRun run, CancellationToken cancellationToken);

    /// <summary>Whether somebody listens on that port of this machine.</summary>
    bool IsPortTaken(int port);

    /// <summary>Waits until no request runs at that url; see <see cref="IReplicaTraffic.QuietAsync"/>.</summary>
    Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline);

    /// <summary>Ends the requests that run there; see <see cref="IReplicaTraffic.Cut"/>.</summary>
    void Cut(ReplicaId replica, string url);

    /// <summary>How long nothing has run there; null = nobody knows.</summary>
    Task<TimeSpan?> IdleForAsync(ReplicaId replica, string url, CancellationToken cancellationToken);

    /// <summary>Free memory of the GPUs the plan uses, read now; null = it uses none, or it cannot be read.</summary>
    Task<long?> FreeDeviceBytesAsync(PoolPlan plan, CancellationToken cancellationToken);

    /// <summary>Remembers what a running engine takes, to correct the next estimate for the same model; to be called before it is stopped.</summary>
    /// <param name="order">Which engine.</param>
    /// <param name="run">Its run.</param>
    /// <param name="deviceBytes">Memory of GPUs it was seen to have; null = look at that of the machine.</param>
    void Measure(EngineOrder order, EngineRun run, long? deviceBytes);

    /// <summary>What a purge would delete; nothing is touched yet.</summary>
    /// <exception cref="ProvisionException">Something lies outside Loom's folders, is not there, or another pool uses it.</exception>
    ImmutableArray<PurgeTarget> PurgeTargets(PoolState pool, PoolCommand.Purge command);

    /// <summary>Deletes it.</summary>
    Task DeleteAsync(PurgeTarget target, CancellationToken cancellationToken);
}

/// <summary>One engine to be made.</summary>
/// <param name="Plan">The pool as this engine runs it.</param>
/// <param name="Replica"><c>r0</c>, <c>r1</c> ...</param>
public sealed record EngineOrder(PoolPlan Plan, string Replica)
{
    /// <summary>The replica has another engine at the same time: this one needs another name in the supervisor.</summary>
    public bool Second { get; init; }

    /// <summary>What provisioning found a moment ago; null = it looks for itself.</summary>
    public PreparedEngine? Prepared { get; init; }
}
