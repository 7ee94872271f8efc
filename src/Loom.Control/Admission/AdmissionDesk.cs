using Loom.Control.Catalog;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Control.Admission;

/// <summary>
/// The single owner of the waiting queue and of the leases on replicas. Every method is a short step under one lock; nothing is awaited, called back
/// or sent inside it, and no other type's lock is ever taken. After each step the queue holds nobody whom a free slot could serve, so a newcomer that
/// finds a free slot overtakes nobody.
/// </summary>
internal sealed partial class AdmissionDesk : IDisposable
{
    // Of more replicas than this, a request without wishes is shown so many, the next ones each time: all of 40,000 would hold everybody up for over a millisecond.
    internal const int MostShown = 1024;

    private readonly Lock _gate = new();
    private readonly AdmissionOptions _options;
    private readonly IPlacementStrategy _strategy;
    private readonly TwoClassQueue<Ticket> _queue;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private ReplicaSnapshot _snapshot = ReplicaSnapshot.Empty;
    private readonly HashSet<(ModelRoute Route, InferenceRoute Work)> _exhausted = [];
    private Candidate[] _candidates = new Candidate[16];
    private bool _closed;

    public AdmissionDesk(AdmissionOptions options, IPlacementStrategy strategy, TimeProvider time, Random random)
    {
        _options = options;
        _strategy = strategy;
        _time = time;
        _random = random;
        _queue = new TwoClassQueue<Ticket>(options.Capacity, options.Policy, Units(options.BatchMaxWait));
        _suspicionTimer = time.CreateTimer(static desk => ((AdmissionDesk)desk!).ClearSuspicion(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _swapTimer = time.CreateTimer(static desk => ((AdmissionDesk)desk!).ReviewSwaps(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Name of the placement strategy.</summary>
    public string StrategyName => _strategy.Name;

    public int Waiting(QueueClass queueClass)
    {
        lock (_gate)
        {
            return _queue.CountOf(queueClass);
        }
    }

    /// <summary>Asks for a slot. <see cref="Admittance.Granted"/> must be answered by <see cref="Release"/>, <see cref="Settle"/> or <see cref="TryAgain"/>.</summary>
    public Admittance Enter(Ticket ticket)
    {
        Ticket? evicted = null;
        List<SwapOrder>? orders = null;
        List<(Ticket Ticket, WaitOutcome Outcome)>? ended = null;
        Admittance answer;
        lock (_gate)
        {
            ticket.Rank = _queue.TakeRank();
            ticket.Route = Refresh(ticket.Route);
            if (_closed)
            {
                ticket.Refusal = Closing();
                answer = Admittance.Refused;
            }
            else
            {
                answer = TryLease(ticket) ? Admittance.Granted : Join(ticket, out evicted);
                orders = evicted is { IsForeign: true } ? Replan(ended = [])
                    : answer == Admittance.Waiting && ticket.IsForeign ? PlanSwaps()
                    : null;
            }
        }

        evicted?.EndWait(WaitOutcome.Evicted);
        if (ended is not null)
        {
            End(ended);
        }

        Place(orders);
        return answer;
    }

    /// <summary>Gives the slot of a failed attempt back and asks for one on another replica, at the place in the queue the request had.</summary>
    public Admittance TryAgain(Ticket ticket)
    {
        Ticket? next;
        List<SwapOrder>? orders;
        Admittance answer;
        lock (_gate)
        {
            var failed = Return(ticket, settles: false);
            ticket.MarkTried(failed);
            next = NextFor(failed);
            ticket.Route = Refresh(ticket.Route);
            answer = TryLease(ticket) ? Admittance.Granted : Rejoin(ticket);
            orders = answer == Admittance.Waiting && ticket.IsForeign ? PlanSwaps() : WhenIdle(failed);
        }

        next?.EndWait(WaitOutcome.Granted);
        Place(orders);
        return answer;
    }

    /// <summary>Gives the slot back; the first waiter it suits gets it. Does nothing when the ticket holds none.</summary>
    /// <param name="ticket">Holder.</param>
    /// <param name="measured">Whether its service time tells what to expect of others: false for a cancelled or failed request.</param>
    public void Release(Ticket ticket, bool measured)
    {
        Ticket? next;
        List<SwapOrder>? orders;
        lock (_gate)
        {
            if (!ticket.HoldsLease)
            {
                return;
            }

            if (measured)
            {
                Observe(ticket);
            }

            var load = Return(ticket, settles: false);
            next = _queue.Count == 0 ? null : NextFor(load);
            orders = WhenIdle(load);
        }

        next?.EndWait(WaitOutcome.Granted);
        Place(orders);
    }

    /// <summary>Takes a ticket out of the queue because its own side gave up. False when its wait has already ended in another way.</summary>
    public bool Leave(Ticket ticket)
    {
        List<SwapOrder>? orders;
        List<(Ticket Ticket, WaitOutcome Outcome)> ended = [];
        lock (_gate)
        {
            if (ticket.Entry is null || !_queue.Remove(ticket.Entry))
            {
                return false;
            }

            var foreign = ticket.IsForeign;
            Forget(ticket);
            // What was kept for it is not any more.
            orders = foreign ? Replan(ended) : null;
        }

        ticket.EndWait(WaitOutcome.Abandoned);
        End(ended);
        Place(orders);
        return true;
    }

    /// <summary>Lets nobody in any more; who waits keeps waiting.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
        }
    }

    /// <summary>Ends all waits.</summary>
    public void DismissWaiting()
    {
        List<(Ticket Ticket, WaitOutcome Outcome)> ended = [];
        lock (_gate)
        {
            _closed = true;
            foreach (var entry in _queue.Entries().ToList())
            {
                Dismiss(entry, WaitOutcome.Closed, ended);
            }
        }

        End(ended);
    }

    public void Dispose()
    {
        _suspicionTimer.Dispose();
        _swapTimer.Dispose();
    }

    private static void End(List<(Ticket Ticket, WaitOutcome Outcome)> ended)
    {
        foreach (var (ticket, outcome) in ended)
        {
            ticket.EndWait(outcome);
        }
    }

    private static Problem Closing() =>
        new(ProblemCode.NodeUnavailable, "the server is shutting down and takes no new work; try again when it is back", Backoff: new Backoff(1000));

    private long Units(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);

    private ModelRoute Refresh(ModelRoute route) => _snapshot.TryResolve(route.Name, out var newest) ? newest : route;

    private static Demand DemandOf(Ticket ticket) => new()
    {
        Route = ticket.Route,
        Work = ticket.Work,
        Wish = ticket.Wish,
        Rank = ticket.Rank,
        Interactive = ticket.Class == QueueClass.Interactive,
        Tried = ticket.Tried,
    };

    private bool TryLease(Ticket ticket)
    {
        var begun = _time.GetTimestamp();
        var demand = DemandOf(ticket);
        var fallback = CandidateFilter.FallsBack(demand);
        ReadOnlySpan<Replica> replicas = ticket.Route.Offering;
        var shown = ticket.Wish is null && ticket.LastReplica is null ? MostShown : replicas.Length;
        if (_candidates.Length < Math.Min(shown, replicas.Length))
        {
            _candidates = new Candidate[Math.Min(shown, replicas.Length)];
        }

        uint? turn = replicas.Length > shown ? ticket.Route.Turns.Next() : null;
        var from = turn is { } t ? (int)(t % (uint)replicas.Length) : 0;
        ticket.Trace?.BeginPlacement();
        var count = 0;
        for (var seen = 0; seen < replicas.Length && (seen < shown || count == 0); seen++)
        {
            var i = from + seen < replicas.Length ? from + seen : from + seen - replicas.Length;
            var replica = replicas[i];
            var verdict = CandidateFilter.Judge(replica, demand, fallback);
            ticket.Trace?.Judged(replica, verdict);
            if (verdict == Verdict.Candidate)
            {
                var status = replica.Status;
                _candidates[count++] = new Candidate(i, status.SlotsTotal, replica.Load.Leases + status.SlotsBusyElsewhere, status.VramFreeBytes ?? 0);
            }
        }

        if (count == 0)
        {
            return false;
        }

        Lease(ticket, replicas[Choose(ticket, _candidates.AsSpan(0, count), replicas, inTurn: turn is not null)]);
        ticket.DecidedIn = ticket.GrantedAt - begun;
        return true;
    }

    private int Choose(Ticket ticket, Span<Candidate> candidates, ReadOnlySpan<Replica> replicas, bool inTurn)
    {
        if (ticket.LastReplica is { } last)
        {
            foreach (var candidate in candidates)
            {
                if (replicas[candidate.Index].Status.Id == last)
                {
                    return candidate.Index;
                }
            }
        }

        if (ticket.Wish is { PreferPools.Length: > 0 } wish)
        {
            candidates = Preferred(wish, candidates, replicas);
        }

        // Where the turn decided which replicas are shown, the first of them is next.
        var turns = ticket.Route.Turns;
        return candidates.Length == 1 ? candidates[0].Index
            : candidates[_strategy.Choose(candidates, inTurn ? 0 : ticket.Wish is null ? turns.Next() : turns.Next(ticket.Wish.Key))].Index;
    }

    // The candidates of the first preferred pool that has any, in place; all of them when none has.
    private static Span<Candidate> Preferred(PlacementWish wish, Span<Candidate> candidates, ReadOnlySpan<Replica> replicas)
    {
        foreach (var pool in wish.PreferPools)
        {
            var count = 0;
            for (var i = 0; i < candidates.Length; i++)
            {
                if (replicas[candidates[i].Index].Status.Id.PoolId == pool)
                {
                    (candidates[count], candidates[i]) = (candidates[i], candidates[count]);
                    count++;
                }
            }

            if (count > 0)
            {
                return candidates[..count];
            }
        }

        return candidates;
    }

    private Ticket? NextFor(ReplicaLoad freed)
    {
        if (freed.Current is not { } replica || !replica.IsReady)
        {
            return null;
        }

        var begun = _time.GetTimestamp();
        var entry = _queue.TryTake(begun, replica, static (ticket, replica) => Suits(ticket, replica));
        if (entry is null)
        {
            return null;
        }

        Forget(entry.Value);
        entry.Value.Trace?.BeginPlacement();
        entry.Value.Trace?.Judged(replica, Verdict.Candidate);
        Lease(entry.Value, replica);
        entry.Value.DecidedIn = entry.Value.GrantedAt - begun;
        return entry.Value;
    }

    private static bool Suits(Ticket ticket, Replica replica)
    {
        if (!ticket.Route.Includes(replica))
        {
            return false;
        }

        var demand = DemandOf(ticket);
        return CandidateFilter.Judge(replica, demand, CandidateFilter.FallsBack(demand)) == Verdict.Candidate;
    }

    private void HandOut(List<(Ticket Ticket, WaitOutcome Outcome)> ended)
    {
        if (_queue.Count == 0)
        {
            return;
        }

        var now = _time.GetTimestamp();
        _exhausted.Clear();
        while (_queue.TryTake(now, this, static (ticket, desk) => desk.TryHandOut(ticket)) is { } entry)
        {
            Forget(entry.Value);
            ended.Add((entry.Value, WaitOutcome.Granted));
        }
    }

    // Where one request without further wishes finds nothing, those behind it find nothing either; unless something is kept, which makes them differ.
    private bool TryHandOut(Ticket ticket)
    {
        var plain = ticket.Wish is null && ticket.Tried.IsEmpty && _kept.Count == 0;
        if (plain && _exhausted.Contains((ticket.Route, ticket.Work)))
        {
            return false;
        }

        if (TryLease(ticket))
        {
            return true;
        }

        if (plain)
        {
            _exhausted.Add((ticket.Route, ticket.Work));
        }

        return false;
    }
}
