namespace Loom.Control.Placement;

/// <summary>Every candidate with the same chance.</summary>
/// <param name="random">Source of chance; seeded, the choices repeat.</param>
public sealed class UniformRandom(Random random) : IPlacementStrategy
{
    /// <inheritdoc/>
    public string Name => "random";

    /// <inheritdoc/>
    public int Choose(ReadOnlySpan<Candidate> candidates, uint turn) => random.Next(candidates.Length);
}
