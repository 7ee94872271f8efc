using System.Collections.Immutable;
using Loom.Node.Plans;

namespace Loom.Node.Threads;

/// <summary>
/// How many threads each engine gets. llama.cpp waits on spinning barriers: one thread more than there are free cores costs a factor of a thousand, one
/// less costs little, so the sum never exceeds the usable cores unless a user says so.
/// </summary>
/// <param name="Usable">Cores that engines may keep busy.</param>
/// <param name="Replicas">Replicas on this node that run llama.cpp.</param>
public sealed record ThreadPlan(int Usable, int Replicas)
{
    /// <summary>Models below this size are always run by one thread: there is too little work in a token to share.</summary>
    public const long SmallModelBytes = 64L << 20;

    /// <summary>The plan for these pools.</summary>
    public static ThreadPlan For(ImmutableArray<PoolPlan> pools, CpuFacts cpu) =>
        new(cpu.Usable, pools.Where(p => RunsLlama(p.Engine.Kind)).Sum(p => p.Replicas));

    /// <summary>Threads of one replica of <paramref name="pool"/>, at least 1.</summary>
    /// <param name="pool">Whose engine says a number other than 0 gets that number.</param>
    /// <param name="modelBytes">Size of its model; 0 = unknown.</param>
    public int Of(PoolPlan pool, long modelBytes)
    {
        if (pool.Engine.Threads > 0)
        {
            return pool.Engine.Threads;
        }

        if (modelBytes is > 0 and < SmallModelBytes)
        {
            return 1;
        }

        // The embedded engine runs a JavaScript event loop beside llama.cpp, which needs a core of its own.
        var shared = pool.Engine.Kind == EngineKinds.Embedded ? Usable - 1 : Usable;
        return Math.Max(1, shared / Math.Max(1, Replicas));
    }

    /// <summary>
    /// Whether the cores suffice for two engines of each replica of a pool at once, as a reload wants them. An engine of one thread waits for no other thread,
    /// so two of those always run.
    /// </summary>
    /// <param name="old">What runs.</param>
    /// <param name="oldBytes">Size of its model; 0 = unknown.</param>
    /// <param name="next">What is to take over.</param>
    /// <param name="nextBytes">Size of its model; 0 = unknown.</param>
    public bool RoomBeside(PoolPlan old, long oldBytes, PoolPlan next, long nextBytes)
    {
        if (!RunsLlama(next.Engine.Kind))
        {
            return true;
        }

        var both = Of(old, oldBytes) + Of(next, nextBytes);
        var others = Math.Max(0, Replicas - next.Replicas) * Math.Max(1, Usable / Math.Max(1, Replicas));
        return both <= 2 || (both * next.Replicas) + others <= Usable;
    }

    /// <summary>A warning when the threads set by hand (and those chosen beside them) exceed the usable cores; null when they do not.</summary>
    public string? Warning(ImmutableArray<PoolPlan> pools)
    {
        var total = pools.Where(p => RunsLlama(p.Engine.Kind)).Sum(p => (long)p.Replicas * Of(p, 0));
        return total <= Usable || pools.All(p => p.Engine.Threads == 0)
            ? null
            : $"engines are given {total} threads, but {Usable} cores are usable here (physical cores within CPU affinity and cgroup quota); lower "
                + $"serving.engines.*.threads or leave it at 0";
    }

    private static bool RunsLlama(string kind) => kind is EngineKinds.Embedded or EngineKinds.LlamaServer;
}
