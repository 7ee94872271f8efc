using System.Collections.Immutable;

namespace Loom.Control.Placement;

/// <summary>Names of the strategies.</summary>
public enum PlacementKind
{
    /// <summary>Each replica in turn.</summary>
    RoundRobin,

    /// <summary>The replica with the largest share of free slots.</summary>
    LeastLoaded,

    /// <summary>Any replica.</summary>
    Random,

    /// <summary>The replica that holds most of the prompt already; not offered by this version.</summary>
    PrefixAffinity,
}

/// <summary>Makes strategies.</summary>
public static class PlacementStrategies
{
    /// <summary>Names of those <see cref="Create"/> can make.</summary>
    public static ImmutableArray<string> Names { get; } = ["round-robin", "least-loaded", "random"];

    /// <summary>Whether <see cref="Create"/> can make it.</summary>
    public static bool Offers(PlacementKind kind) => kind is PlacementKind.RoundRobin or PlacementKind.LeastLoaded or PlacementKind.Random;

    /// <summary>Makes a strategy.</summary>
    /// <exception cref="NotSupportedException">This version does not offer it.</exception>
    public static IPlacementStrategy Create(PlacementKind kind, Random random) => kind switch
    {
        PlacementKind.RoundRobin => new RoundRobin(),
        PlacementKind.LeastLoaded => new LeastLoaded(),
        PlacementKind.Random => new UniformRandom(random),
        _ => throw new NotSupportedException($"serving.placement.strategy: this version offers {string.Join(", ", Names)}, not prefix-affinity"),
    };
}
