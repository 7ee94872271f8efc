using Loom.Control.Catalog;

namespace Loom.Control.Placement;

/// <summary>Decides which replicas may take a request now.</summary>
internal static class CandidateFilter
{
    /// <summary>Whether the replica is ready, believed alive, has a free slot and has not failed this request before.</summary>
    public static bool Accepts(Replica replica, ReadOnlySpan<ReplicaLoad> tried) =>
        replica.IsReady && !replica.Load.Suspect && replica.Load.Leases < replica.Status.SlotsTotal && !WasTried(replica, tried);

    /// <summary>Fills <paramref name="candidates"/> with the accepted replicas in their order and returns how many there are.</summary>
    public static int Select(ReadOnlySpan<Replica> replicas, ReadOnlySpan<ReplicaLoad> tried, Span<Candidate> candidates)
    {
        var count = 0;
        for (var i = 0; i < replicas.Length; i++)
        {
            if (Accepts(replicas[i], tried))
            {
                candidates[count++] = new Candidate(i, replicas[i].Status.SlotsTotal, replicas[i].Load.Leases);
            }
        }

        return count;
    }

    /// <summary>Whether some replica not tried yet could serve the request, now or later.</summary>
    public static bool AnyLeft(ReadOnlySpan<Replica> replicas, ReadOnlySpan<ReplicaLoad> tried)
    {
        foreach (var replica in replicas)
        {
            if (replica.CanBeWaitedFor && !WasTried(replica, tried))
            {
                return true;
            }
        }

        return false;
    }

    private static bool WasTried(Replica replica, ReadOnlySpan<ReplicaLoad> tried)
    {
        foreach (var load in tried)
        {
            if (ReferenceEquals(load, replica.Load))
            {
                return true;
            }
        }

        return false;
    }
}
