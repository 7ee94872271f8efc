using System.Collections.Immutable;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>One engine of a replica: the one that serves, or the one being brought up in its place.</summary>
/// <param name="Key">Tells it from every other engine the pool ever had; news of one that is gone are dropped by it.</param>
/// <param name="Plan">The pool as this engine runs it: its model comes first.</param>
/// <param name="State">How its process is.</param>
/// <param name="SpawnedMs">When its process was spawned and has not answered since, Unix milliseconds; null = it is not loading.</param>
public sealed record Seat(int Key, PoolPlan Plan, EngineState State, long? SpawnedMs = null)
{
    /// <summary>Id of the model it loads.</summary>
    public string Model => Plan.ModelIds[0];

    /// <summary>Address of the engine while one answers; null otherwise.</summary>
    public string? ServingUrl => State is EngineState.Ready ready ? EngineEffects.Root(ready.Run) + "v1" : null;

    /// <summary>Whether it neither runs nor is on its way to: somebody has to start it.</summary>
    public bool AtRest => State is EngineState.Stopped or EngineState.Failed;
}

/// <summary>What is done with a replica beside serving.</summary>
public enum MemberMode
{
    /// <summary>Nothing: its engine's state is its own.</summary>
    Serving,

    /// <summary>It takes no new work and is stopped when nothing runs on it.</summary>
    Closing,

    /// <summary>Another engine is brought up beside the one that serves on.</summary>
    Beside,

    /// <summary>Its engine is replaced, and until the new one answers there is none.</summary>
    Down,
}

/// <summary>One replica of a pool. Immutable.</summary>
/// <param name="Id">Who it is.</param>
/// <param name="Engine">The engine that serves, will serve, or served last.</param>
public sealed record Member(ReplicaId Id, Seat Engine)
{
    /// <summary>The engine being brought up in its place; null = none.</summary>
    public Seat? Incoming { get; init; }

    public MemberMode Mode { get; init; }

    /// <summary>How long the last load took, from spawn to the first good health check; null until measured.</summary>
    public int? LoadMs { get; init; }

    /// <summary>Since when its engine answers without a break, Unix milliseconds; null while it does not.</summary>
    public long? ReadySinceMs { get; init; }

    /// <summary>Why neither its new engine nor its old one came up; null once one answers. It is failed for the world, whatever is still being tried.</summary>
    public string? Lost { get; init; }

    /// <summary>Why it rests, where nothing went wrong: not preloaded, idle, purged. Null = it is not known or it does not rest.</summary>
    public string? Rest { get; init; }
}

/// <summary>Everything a node knows of one of its pools. Immutable; each change makes a new one.</summary>
/// <param name="Plan">What the pool is to be: the configuration, with the model of the last reload in front.</param>
/// <param name="Members">Its replicas, <c>r0</c> first.</param>
public sealed record PoolState(PoolPlan Plan, ImmutableArray<Member> Members)
{
    /// <summary>An operator wants no new work on it.</summary>
    public bool Drained { get; init; }

    /// <summary>References by the ids of the models the pool ever had: what was replaced can be named by its id to come back.</summary>
    public ImmutableDictionary<string, string> Known { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>The plan that loads a model, named by id or reference; see <see cref="PoolPlan.Loading"/>.</summary>
    public PoolPlan Loading(string model) => Plan.Loading(Plan.ModelIds.Contains(model) ? model : Known.GetValueOrDefault(model, model));

    /// <summary>Word of the operation under way; null = none.</summary>
    public string? Operation { get; init; }
}
