namespace Loom.Control.Placement;

/// <summary>The largest share of free slots, then the most free GPU memory, then the fewest requests, then the first in order.</summary>
public sealed class LeastLoaded : IPlacementStrategy
{
    /// <inheritdoc/>
    public string Name => "least-loaded";

    /// <inheritdoc/>
    public int Choose(ReadOnlySpan<Candidate> candidates, uint turn)
    {
        var best = 0;
        for (var i = 1; i < candidates.Length; i++)
        {
            best = IsBetter(candidates[i], candidates[best]) ? i : best;
        }

        return best;
    }

    private static bool IsBetter(Candidate a, Candidate b)
    {
        // free/total compared crosswise, so that no rounding decides.
        var freeA = (long)(a.SlotsTotal - a.Leases) * b.SlotsTotal;
        var freeB = (long)(b.SlotsTotal - b.Leases) * a.SlotsTotal;
        return freeA != freeB ? freeA > freeB
            : a.VramFree != b.VramFree ? a.VramFree > b.VramFree
            : a.Leases < b.Leases;
    }
}
