namespace Loom.Control.Swaps;

/// <summary>The first of the requests that wait for one model which no replica has.</summary>
/// <param name="Model">The model.</param>
/// <param name="Rank">Its arrival number.</param>
/// <param name="Waited">How long it has waited.</param>
/// <param name="Batch">Whether it is batch work that has not aged.</param>
/// <param name="Replicas">Indices of the replicas that could load the model for it.</param>
internal readonly record struct SwapWaiter(string Model, long Rank, TimeSpan Waited, bool Batch, IReadOnlyList<int> Replicas);

/// <summary>What the planner knows of a replica.</summary>
/// <param name="Pool">Node and pool; one operation runs on them at a time.</param>
/// <param name="IsStopped">Nothing is loaded.</param>
/// <param name="IsReady">It serves a model. One that neither serves nor is stopped is on its way to something and is left alone.</param>
/// <param name="Work">Slots in use, others' included.</param>
/// <param name="IdleSince">When it became free of work; the smaller, the longer ago.</param>
/// <param name="MinResidency">How long a foreign waiter may be overtaken by requests for the loaded model.</param>
internal readonly record struct SwapCandidate((string Node, string Pool) Pool, bool IsStopped, bool IsReady, int Work, long IdleSince, TimeSpan MinResidency);

/// <summary>What is to be done with a replica.</summary>
internal enum SwapAct
{
    /// <summary>Nothing is loaded: start the pool with the model.</summary>
    Start,

    /// <summary>It is idle: load the model in place of the other.</summary>
    Swap,

    /// <summary>It works: give it no work that arrived after the waiter, so that it becomes idle.</summary>
    Keep,
}

/// <summary>One decision.</summary>
/// <param name="Replica">Index of the replica.</param>
/// <param name="Act">What to do.</param>
/// <param name="Waiter">For whom.</param>
internal readonly record struct SwapStep(int Replica, SwapAct Act, SwapWaiter Waiter);

/// <summary>
/// Decides which replicas load another model. A replica with work is never swapped. Requests for the loaded model go first, whether they came before or
/// after a foreign waiter; but once that waiter has waited for the minimum residency, one replica is kept from what came after it, and is swapped when the
/// work it has is done. So no waiter is overtaken for longer than the minimum residency, and A B A A C on one replica costs two swaps. Pure.
/// </summary>
internal static class SwapPlanner
{
    /// <summary>Plans.</summary>
    /// <param name="waiters">One for each model, in order of service.</param>
    /// <param name="replicas">The replicas their indices mean.</param>
    /// <param name="busyPools">Pools on which an operation runs.</param>
    /// <param name="review">When to plan again at the latest, from now; null = when something changes.</param>
    public static List<SwapStep> Plan(
        IReadOnlyList<SwapWaiter> waiters, IReadOnlyList<SwapCandidate> replicas, IReadOnlySet<(string Node, string Pool)> busyPools, out TimeSpan? review)
    {
        review = null;
        var steps = new List<SwapStep>();
        var pools = new HashSet<(string Node, string Pool)>(busyPools);
        var taken = new HashSet<int>();
        foreach (var waiter in waiters)
        {
            var free = waiter.Replicas.Where(i => !taken.Contains(i) && !pools.Contains(replicas[i].Pool)).ToList();
            if (Best(free, i => replicas[i].IsStopped, i => i) is { } stopped)
            {
                steps.Add(new SwapStep(stopped, SwapAct.Start, waiter));
                taken.Add(stopped);
                pools.Add(replicas[stopped].Pool);
            }
            else if (Best(free, i => replicas[i] is { IsReady: true, Work: 0 }, i => replicas[i].IdleSince) is { } idle)
            {
                steps.Add(new SwapStep(idle, SwapAct.Swap, waiter));
                taken.Add(idle);
                pools.Add(replicas[idle].Pool);
            }
            else if (Best(waiter.Replicas, i => !taken.Contains(i) && replicas[i].IsReady && waiter.Waited >= replicas[i].MinResidency, i => replicas[i].Work) is { } soon)
            {
                steps.Add(new SwapStep(soon, SwapAct.Keep, waiter));
                taken.Add(soon);
            }
            else
            {
                Earliest(ref review, waiter, replicas);
            }
        }

        return steps;
    }

    private static int? Best(IEnumerable<int> among, Func<int, bool> which, Func<int, long> cost)
    {
        int? best = null;
        foreach (var i in among)
        {
            best = which(i) && (best is null || cost(i) < cost(best.Value)) ? i : best;
        }

        return best;
    }

    private static void Earliest(ref TimeSpan? review, SwapWaiter waiter, IReadOnlyList<SwapCandidate> replicas)
    {
        foreach (var i in waiter.Replicas)
        {
            var left = replicas[i].MinResidency - waiter.Waited;
            review = replicas[i].IsReady && left > TimeSpan.Zero && (review is null || left < review) ? left : review;
        }
    }
}
