using Loom.Control.Catalog;
using Loom.Control.Placement;
using Loom.Control.Swaps;
using Loom.Core.Queues;
using Loom.Wire;

namespace Loom.Control.Admission;

/// <summary>A model to be loaded because requests wait for it. Whoever carries it out must end it with <see cref="AdmissionDesk.SwapEnded"/>.</summary>
/// <param name="Replica">Where.</param>
/// <param name="Model">What.</param>
/// <param name="Start">Whether nothing is loaded, so that the pool is started.</param>
internal sealed record SwapOrder(ReplicaId Replica, string Model, bool Start);

// Requests for models that no replica has: who waits for them, and what is loaded for whom.
internal sealed partial class AdmissionDesk
{
    private static readonly TimeSpan s_firstFailure = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_longestFailure = TimeSpan.FromSeconds(60);

    // How long a finished load may take to show in a view; nodes of a cluster tell it with their next beat.
    private static readonly TimeSpan s_shows = TimeSpan.FromSeconds(15);

    private readonly ITimer _swapTimer;
    private readonly Dictionary<ReplicaId, RunningSwap> _swaps = [];
    private readonly List<ReplicaLoad> _kept = [];
    private int _foreign;
    private long _reviewDue = long.MaxValue;

    /// <summary>Carries orders out, one call for each; must not block. Set once, before the first request.</summary>
    public Action<SwapOrder> Carrier { get; set; } = static _ => { };

    /// <summary>An order has ended. Failure ends those who wait for the model and nothing else, and keeps it from being tried again for a while.</summary>
    /// <param name="order">The order.</param>
    /// <param name="failure">Why it failed; null when it did not.</param>
    public void SwapEnded(SwapOrder order, string? failure)
    {
        List<(Ticket Ticket, WaitOutcome Outcome)> ended = [];
        List<SwapOrder>? orders;
        lock (_gate)
        {
            var now = _snapshot.Find(order.Replica);
            if (failure is null && now is not null && (now.Status.State == ReplicaState.Stopped || !now.Serves(order.Model)))
            {
                _swaps[order.Replica].ShowsUntil = _time.GetTimestamp() + Units(s_shows);
                SetReview(s_shows);
            }
            else
            {
                Finish(order.Replica);
            }

            if (failure is not null)
            {
                Fail(order, failure, ended);
            }

            orders = Replan(ended);
        }

        End(ended);
        Place(orders);
    }

    private void Place(List<SwapOrder>? orders) => orders?.ForEach(Carrier);

    private List<SwapOrder>? WhenIdle(ReplicaLoad load) => _foreign > 0 && load.Leases == 0 ? PlanSwaps() : null;

    private void ReviewSwaps()
    {
        List<(Ticket Ticket, WaitOutcome Outcome)> ended = [];
        List<SwapOrder>? orders;
        lock (_gate)
        {
            _reviewDue = long.MaxValue;
            orders = Replan(ended);
        }

        End(ended);
        Place(orders);
    }

    // What is kept is decided before slots are handed out, what is swapped after it.
    private List<SwapOrder>? Replan(List<(Ticket Ticket, WaitOutcome Outcome)> ended)
    {
        if (_queue.Count > 0)
        {
            KeepOrFree();
            HandOut(ended);
        }

        return _foreign > 0 || _kept.Count > 0 || _swaps.Count > 0 ? PlanSwaps() : null;
    }

    private void KeepOrFree() => Carry(Plan(), orders: null);

    private List<SwapOrder>? PlanSwaps()
    {
        var orders = new List<SwapOrder>();
        Carry(Plan(), orders);
        return orders.Count > 0 ? orders : null;
    }

    private List<(Replica Replica, SwapStep Step)> Plan()
    {
        EndOldSwaps();
        foreach (var load in _kept)
        {
            load.KeptForRank = long.MaxValue;
        }

        _kept.Clear();
        if (_foreign == 0)
        {
            return [];
        }

        var now = _time.GetTimestamp();
        List<Replica> replicas = [];
        Dictionary<Replica, int> indices = [];
        List<SwapWaiter> waiters = [];
        HashSet<string> seen = [.. _swaps.Values.Select(s => s.Order.Model)];
        foreach (var entry in _queue.Entries().Where(e => e.Value.IsForeign).OrderBy(e => IsBatch(e, now)).ThenBy(e => e.Rank))
        {
            var ticket = entry.Value;
            if (seen.Add(ticket.Route.Model))
            {
                waiters.Add(new SwapWaiter(
                    ticket.Route.Model, ticket.Rank, _time.GetElapsedTime(ticket.Arrived, now), IsBatch(entry, now), Loadable(ticket, replicas, indices)));
            }
        }

        var view = replicas.ConvertAll(CandidateOf);
        var busy = _swaps.Keys.Select(id => (id.NodeId, id.PoolId)).ToHashSet();
        var steps = SwapPlanner.Plan(waiters, view, busy, out var review);
        if (review is { } after)
        {
            SetReview(after);
        }

        return steps.ConvertAll(step => (replicas[step.Replica], step));
    }

    private void Carry(List<(Replica Replica, SwapStep Step)> steps, List<SwapOrder>? orders)
    {
        foreach (var (replica, step) in steps)
        {
            var load = replica.Load;
            if (step.Act == SwapAct.Keep || orders is null)
            {
                load.KeptForRank = step.Waiter.Rank;
                load.KeptForBatch = step.Waiter.Batch;
                _kept.Add(load);
                continue;
            }

            var order = new SwapOrder(replica.Status.Id, step.Waiter.Model, step.Act == SwapAct.Start);
            load.Swapping = true;
            _swaps.Add(order.Replica, new RunningSwap(order, _time.GetTimestamp()));
            orders.Add(order);
        }
    }

    private static List<int> Loadable(Ticket ticket, List<Replica> replicas, Dictionary<Replica, int> indices)
    {
        var demand = DemandOf(ticket);
        var fallback = CandidateFilter.FallsBack(demand);
        var usable = new List<int>();
        foreach (var replica in ticket.Route.Offering)
        {
            if (!replica.Load.Swapping && replica.Status.Node == NodeCondition.Online && replica.CanLoad(ticket.Route.Model) && CandidateFilter.CouldServe(replica, demand, fallback))
            {
                if (!indices.TryGetValue(replica, out var index))
                {
                    index = replicas.Count;
                    replicas.Add(replica);
                    indices.Add(replica, index);
                }

                usable.Add(index);
            }
        }

        return usable;
    }

    private static SwapCandidate CandidateOf(Replica replica)
    {
        var status = replica.Status;
        return new SwapCandidate(
            (status.Id.NodeId, status.Id.PoolId), status.State == ReplicaState.Stopped, status.State == ReplicaState.Ready && replica.IsReady,
            replica.Load.Leases + status.SlotsBusyElsewhere, replica.Load.IdleSince, TimeSpan.FromSeconds(status.MinResidencySecs));
    }

    private bool IsBatch(QueueEntry<Ticket> entry, long now) =>
        entry.Class == QueueClass.Batch && !(_options.BatchMaxWait > TimeSpan.Zero && now - entry.Arrived >= Units(_options.BatchMaxWait));

    // A replica of a new view that is what a swap was to make of it takes work at once; one that is not yet stays closed.
    private void TakeOver(Replica young)
    {
        if (_swaps.TryGetValue(young.Status.Id, out var swap))
        {
            var there = young.Serves(swap.Order.Model);
            young.Load.Swapping = !there;
            if (there && swap.ShowsUntil is not null)
            {
                Finish(young.Status.Id);
            }
        }

        if (young.Status is { State: ReplicaState.Ready, LoadMs: { } ms } && _snapshot.TryResolve(young.Status.Model, out var route))
        {
            route.Stats.ObserveLoad(ms);
            route.Stats.Loaded(young.Status.Id);
        }
    }

    private void EndOldSwaps()
    {
        var now = _time.GetTimestamp();
        foreach (var (id, _) in _swaps.Where(s => s.Value.ShowsUntil <= now).ToList())
        {
            Finish(id);
        }
    }

    private void Finish(ReplicaId id)
    {
        _swaps.Remove(id);
        _snapshot.Find(id)?.Load.Swapping = false;
    }

    // One replica's failure says nothing of the others: who could be served by one of them waits on.
    private void Fail(SwapOrder order, string reason, List<(Ticket Ticket, WaitOutcome Outcome)> ended)
    {
        if (!_snapshot.TryResolve(order.Model, out var route))
        {
            return;
        }

        var now = _time.GetTimestamp();
        route.Stats.EndFailures(now);
        var pause = TimeSpan.FromTicks(Math.Min(s_longestFailure.Ticks, s_firstFailure.Ticks << Math.Min(route.Stats.FailedLoads(order.Replica), 10)));
        route.Stats.Failed(order.Replica, reason, now, now + Units(pause));
        foreach (var entry in _queue.Entries().Where(e => e.Value.IsForeign && e.Value.Route.Model == order.Model && !HasHope(e.Value)).ToList())
        {
            entry.Value.Refusal = NobodyCan(entry.Value);
            Dismiss(entry, WaitOutcome.LoadFailed, ended);
        }
    }

    // Whether some replica that could serve the request has not failed it since it came; else two broken ones would keep it waiting by turns.
    private static bool HasHope(Ticket ticket)
    {
        var demand = DemandOf(ticket);
        var fallback = CandidateFilter.FallsBack(demand);
        foreach (var replica in ticket.Route.Offering)
        {
            if (CandidateFilter.CouldServe(replica, demand, fallback) && !ticket.Route.Stats.HasFailedSince(replica.Status.Id, ticket.Arrived))
            {
                return true;
            }
        }

        return false;
    }

    // Measured load time that is left; null when none was measured.
    private double? LoadLeft(ModelRoute route, long now)
    {
        if (route.Stats.LoadMs is not { } whole)
        {
            return null;
        }

        foreach (var swap in _swaps.Values)
        {
            if (swap.Order.Model == route.Model)
            {
                return Math.Max(0, whole - _time.GetElapsedTime(swap.Began, now).TotalMilliseconds);
            }
        }

        foreach (var replica in route.Replicas)
        {
            if (replica.CanBeWaitedFor)
            {
                // It loads since it was last seen idle, which is when its run began.
                return Math.Max(0, whole - _time.GetElapsedTime(replica.Load.IdleSince, now).TotalMilliseconds);
            }
        }

        return whole;
    }

    private void SetReview(TimeSpan after)
    {
        var due = _time.GetTimestamp() + Units(after);
        if (due < _reviewDue)
        {
            _reviewDue = due;
            // A timer counts whole milliseconds; a little later is sooner than a second time.
            _swapTimer.Change(after + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
        }
    }

    private sealed class RunningSwap(SwapOrder order, long began)
    {
        public SwapOrder Order { get; } = order;

        public long Began { get; } = began;

        /// <summary>Set once it has ended well: until when it counts as running because no view shows it yet.</summary>
        public long? ShowsUntil { get; set; }
    }
}
