using System.Collections.Immutable;

namespace Loom.Control.Placement;

/// <summary>The strategies by name.</summary>
public static class PlacementStrategies
{
    /// <summary>Names <see cref="Create"/> knows.</summary>
    public static ImmutableArray<string> Names { get; } = ["round-robin", "least-loaded", "random"];

    /// <summary>Makes the strategy of that name.</summary>
    /// <exception cref="ArgumentException">No such strategy.</exception>
    public static IPlacementStrategy Create(string name, Random random) => name switch
    {
        "round-robin" => new RoundRobin(),
        "least-loaded" => new LeastLoaded(),
        "random" => new UniformRandom(random),
        _ => throw new ArgumentException($"placement strategy '{name}' is not one of {string.Join(", ", Names)}", nameof(name)),
    };
}
