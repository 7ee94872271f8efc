namespace Loom.Control.Placement;

/// <summary>Each candidate in turn.</summary>
public sealed class RoundRobin : IPlacementStrategy
{
    /// <inheritdoc/>
    public string Name => "round-robin";

    /// <inheritdoc/>
    public int Choose(ReadOnlySpan<Candidate> candidates, uint turn) => (int)(turn % (uint)candidates.Length);
}
