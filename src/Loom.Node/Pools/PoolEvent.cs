using System.Collections.Immutable;
using Loom.Node.Engines;
using Loom.Node.Plans;

namespace Loom.Node.Pools;

/// <summary>What can happen to a pool: a closed set. Replicas are named by their place in it.</summary>
public abstract record PoolEvent
{
    private PoolEvent()
    {
    }

    /// <summary>An operation wants to begin.</summary>
    /// <param name="Word">What it is called.</param>
    public sealed record Asked(string Word) : PoolEvent;

    /// <summary>The operation under way has ended.</summary>
    public sealed record Ended : PoolEvent;

    /// <summary>News of one of its engines.</summary>
    public sealed record EngineTold(int Key, EngineState State) : PoolEvent;

    /// <summary>A replica changes between serving, closing, and having its engine replaced.</summary>
    public sealed record ModeSet(int Member, MemberMode Mode) : PoolEvent;

    /// <summary>An engine was made to take a replica over.</summary>
    public sealed record Joined(int Member, Seat Seat) : PoolEvent;

    /// <summary>The engine that was to take over is given up.</summary>
    public sealed record Left(int Member) : PoolEvent;

    /// <summary>The new engines take over from the old ones, all in one step.</summary>
    public sealed record Switched(ImmutableArray<int> Members) : PoolEvent;

    /// <summary>The pool is to be something else from now on.</summary>
    public sealed record Replanned(PoolPlan Plan) : PoolEvent;

    /// <summary>An operator closes the pool to new work, or opens it.</summary>
    public sealed record DrainSet(bool Drained) : PoolEvent;

    /// <summary>Why a replica rests.</summary>
    public sealed record Rested(int Member, string Why) : PoolEvent;

    /// <summary>Neither the new engine of a replica nor the old one came up.</summary>
    public sealed record LostBoth(int Member, string Why) : PoolEvent;
}
