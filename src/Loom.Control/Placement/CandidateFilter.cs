using Loom.Control.Catalog;
using Loom.Wire;

namespace Loom.Control.Placement;

/// <summary>What a request needs of a replica. Lives no longer than one decision.</summary>
internal readonly ref struct Demand
{
    /// <summary>Where it may go.</summary>
    public required ModelRoute Route { get; init; }

    /// <summary>What the engine must offer.</summary>
    public required InferenceRoute Work { get; init; }

    /// <summary>Further wishes; null = none.</summary>
    public PlacementWish? Wish { get; init; }

    /// <summary>Arrival number: a replica that is kept for an older request is not for this one.</summary>
    public required long Rank { get; init; }

    /// <summary>Whether its class lets it pass what is kept for batch work.</summary>
    public bool Interactive { get; init; }

    /// <summary>Replicas that failed it.</summary>
    public ReadOnlySpan<ReplicaLoad> Tried { get; init; }
}

/// <summary>Decides which replicas may take a request now. Pure.</summary>
internal static class CandidateFilter
{
    /// <summary>The first reason against a replica, or <see cref="Verdict.Candidate"/>.</summary>
    /// <param name="replica">The replica.</param>
    /// <param name="demand">The request.</param>
    /// <param name="fallback">Whether pin and avoid give way.</param>
    public static Verdict Judge(Replica replica, in Demand demand, bool fallback = false)
    {
        var verdict = Standing(replica, demand.Tried);
        verdict = verdict == Verdict.Candidate ? Fitness(replica, demand, fallback) : verdict;
        return verdict != Verdict.Candidate ? verdict
            : replica.Load.IsKeptFrom(demand.Rank, demand.Interactive) ? Verdict.Reserved
            : replica.Load.Leases + replica.Status.SlotsBusyElsewhere >= replica.Status.SlotsTotal ? Verdict.NoFreeSlot
            : Verdict.Candidate;
    }

    /// <summary>Whether a replica could serve the request, now or later, as it is or after a load.</summary>
    public static bool CouldServe(Replica replica, in Demand demand, bool fallback)
    {
        if (WasTried(replica, demand.Tried))
        {
            return false;
        }

        var model = demand.Route.Model;
        var verdict = Fitness(replica, demand, fallback);
        return (verdict == Verdict.Candidate && replica.CanBeWaitedFor) || (verdict is Verdict.Candidate or Verdict.OtherModel && replica.CanLoad(model) && !demand.Route.Stats.FailsOn(replica.Status.Id)
            && Wishes(replica, demand, fallback) == Verdict.Candidate);
    }

    /// <summary>Whether some replica could serve the request, now or later.</summary>
    public static bool AnyLeft(in Demand demand)
    {
        var fallback = FallsBack(demand);
        foreach (var replica in demand.Route.Offering)
        {
            if (CouldServe(replica, demand, fallback))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether some replica that could serve the request has its model, or is on its way to have it.</summary>
    public static bool HasHome(in Demand demand)
    {
        var fallback = FallsBack(demand);
        foreach (var replica in demand.Route.Replicas)
        {
            if (replica.CanBeWaitedFor && !WasTried(replica, demand.Tried) && Fitness(replica, demand, fallback) == Verdict.Candidate)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether pin and avoid give way: they may, and no pool they allow has a ready replica.</summary>
    public static bool FallsBack(in Demand demand)
    {
        if (demand.Wish is not { AllowFallback: true } wish || (wish.PinPool is null && wish.AvoidPools.IsEmpty))
        {
            return false;
        }

        foreach (var replica in demand.Route.Replicas)
        {
            if (replica.IsReady && wish.Allows(replica.Status.Id.PoolId) && !WasTried(replica, demand.Tried))
            {
                return false;
            }
        }

        return true;
    }

    // Whether it stands at all.
    private static Verdict Standing(Replica replica, ReadOnlySpan<ReplicaLoad> tried)
    {
        var status = replica.Status;
        return status.Node switch
        {
            NodeCondition.Offline => Verdict.NodeOffline,
            NodeCondition.Draining => Verdict.NodeDraining,
            _ when !replica.IsReady => status.State switch
            {
                ReplicaState.Draining => Verdict.Draining,
                ReplicaState.Stopped => Verdict.Stopped,
                ReplicaState.Failed => Verdict.Failed,
                _ => Verdict.NotReady,
            },
            _ => replica.Load.Suspect ? Verdict.Suspect
                : replica.Load.Swapping ? Verdict.Swapping
                : tried.Length > 0 && WasTried(replica, tried) ? Verdict.Tried
                : Verdict.Candidate,
        };
    }

    // Whether it is the right one.
    private static Verdict Fitness(Replica replica, in Demand demand, bool fallback) =>
        !replica.Serves(demand.Route.Model) ? Verdict.OtherModel : Wishes(replica, demand, fallback);

    private static Verdict Wishes(Replica replica, in Demand demand, bool fallback)
    {
        // What a model that is not loaded offers is known only when it is.
        var workload = replica.Offers(demand.Work) || (!replica.IsReady && replica.Status.Capabilities.IsEmpty);
        if (demand.Wish is not { } wish)
        {
            return workload ? Verdict.Candidate : Verdict.Workload;
        }

        var status = replica.Status;
        return wish.EngineKind is not null && wish.EngineKind != status.EngineKind ? Verdict.EngineKind
            : !workload ? Verdict.Workload
            : wish.Ctx > status.Ctx ? Verdict.Ctx
            : !wish.AcceptsDevices(status) ? Verdict.Devices
            : fallback ? Verdict.Candidate
            : wish.PinPool is { } pinned && pinned != status.Id.PoolId ? Verdict.NotPinned
            : wish.AvoidPools.Contains(status.Id.PoolId) ? Verdict.Avoided
            : Verdict.Candidate;
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
