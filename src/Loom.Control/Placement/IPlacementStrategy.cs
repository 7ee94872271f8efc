namespace Loom.Control.Placement;

/// <summary>
/// Picks one of the replicas that can take a request. A pure choice apart from its own chance; called by the admission desk, one call at a time.
/// </summary>
public interface IPlacementStrategy
{
    /// <summary>Its name in the configuration.</summary>
    string Name { get; }

    /// <summary>Index of the chosen candidate.</summary>
    /// <param name="candidates">At least one; each has a free slot; in order of node, pool, replica, beginning at the next in turn where there are too many to show them all.</param>
    /// <param name="turn">How many choices were made for this model before.</param>
    int Choose(ReadOnlySpan<Candidate> candidates, uint turn);
}

/// <summary>What a strategy may know of a replica.</summary>
/// <param name="Index">Its place among all replicas that offer the model.</param>
/// <param name="SlotsTotal">Requests it takes at once.</param>
/// <param name="Leases">Requests it has, those of others included.</param>
/// <param name="VramFree">Free memory of its GPUs in bytes; 0 where none is known.</param>
public readonly record struct Candidate(int Index, int SlotsTotal, int Leases, long VramFree = 0);
