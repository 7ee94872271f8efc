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
    private static readonly TimeSpan s_suspicion = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly AdmissionOptions _options;
    private readonly IPlacementStrategy _strategy;
    private readonly TwoClassQueue<Ticket> _queue;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ITimer _suspicionTimer;
    private ReplicaSnapshot _snapshot = ReplicaSnapshot.Empty;
    private bool _closed;

    public AdmissionDesk(AdmissionOptions options, IPlacementStrategy strategy, TimeProvider time, Random random)
    {
        _options = options;
        _strategy = strategy;
        _time = time;
        _random = random;
        _queue = new TwoClassQueue<Ticket>(options.Capacity, options.Policy, (long)(options.BatchMaxWait.TotalSeconds * time.TimestampFrequency));
        _suspicionTimer = time.CreateTimer(static desk => ((AdmissionDesk)desk!).ClearSuspicion(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
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

    /// <summary>Asks for a slot. <see cref="Admittance.Granted"/> must be answered by <see cref="Release"/> or <see cref="TryAgain"/>.</summary>
    public Admittance Enter(Ticket ticket)
    {
        Ticket? evicted = null;
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
            }
        }

        evicted?.EndWait(WaitOutcome.Evicted);
        return answer;
    }

    /// <summary>Gives the slot of a failed attempt back and asks for one on another replica, at the place in the queue the request had.</summary>
    public Admittance TryAgain(Ticket ticket)
    {
        Ticket? next;
        Admittance answer;
        lock (_gate)
        {
            var failed = Return(ticket, settles: false);
            ticket.MarkTried(failed);
            next = NextFor(failed);
            ticket.Route = Refresh(ticket.Route);
            answer = TryLease(ticket) ? Admittance.Granted : Rejoin(ticket);
        }

        next?.EndWait(WaitOutcome.Granted);
        return answer;
    }

    /// <summary>Gives the slot back; the first waiter it suits gets it. Does nothing when the ticket holds none.</summary>
    /// <param name="ticket">Holder.</param>
    /// <param name="measured">Whether its service time tells what to expect of others: false for a cancelled or failed request.</param>
    public void Release(Ticket ticket, bool measured)
    {
        Ticket? next;
        lock (_gate)
        {
            if (!ticket.HoldsLease)
            {
                return;
            }

            if (measured)
            {
                ticket.Route.Stats.Observe(_time.GetElapsedTime(ticket.GrantedAt).TotalMilliseconds);
            }

            var load = Return(ticket, settles: false);
            next = _queue.Count == 0 ? null : NextFor(load);
        }

        next?.EndWait(WaitOutcome.Granted);
    }

    /// <summary>Takes a ticket out of the queue because its own side gave up. False when its wait has already ended in another way.</summary>
    public bool Leave(Ticket ticket)
    {
        lock (_gate)
        {
            if (ticket.Entry is null || !_queue.Remove(ticket.Entry))
            {
                return false;
            }

            Forget(ticket);
        }

        ticket.EndWait(WaitOutcome.Abandoned);
        return true;
    }

    /// <summary>Place within the class (0 = next) and predicted wait of a waiting ticket; position -1 when it does not wait any more.</summary>
    public (int Position, WaitEstimate Estimate) Outlook(Ticket ticket)
    {
        lock (_gate)
        {
            return ticket.Entry is null ? (-1, default) : (_queue.PositionOf(ticket.Entry), EstimateOf(ticket.Route, AheadOf(ticket)));
        }
    }

    /// <summary>When a client that lost its place may come back.</summary>
    public Backoff BackoffFor(ModelRoute route, int leastMs)
    {
        lock (_gate)
        {
            return NextBackoff(route, leastMs);
        }
    }

    /// <summary>Sends no work to a replica that refused a connection until its node speaks again or a second has passed.</summary>
    public void Suspect(Replica replica)
    {
        lock (_gate)
        {
            replica.Load.Suspect = true;
        }

        _suspicionTimer.Change(s_suspicion, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Takes over a new view of the replicas: waiters move to it, those nobody can serve any more are told, free slots are handed out.</summary>
    public void Apply(ReplicaSnapshot snapshot)
    {
        List<(Ticket Ticket, WaitOutcome Outcome)> ended = [];
        List<(Ticket Ticket, long Lease)> losers = [];
        lock (_gate)
        {
            foreach (var gone in _snapshot.Replicas)
            {
                gone.Load.Current = null;
            }

            var before = _snapshot;
            _snapshot = snapshot;
            foreach (var replica in snapshot.Replicas)
            {
                replica.Load.Current = replica;
                replica.Load.Suspect = false;
            }

            Retire(before, snapshot, losers);
            foreach (var entry in _queue.Entries().ToList())
            {
                var ticket = entry.Value;
                ticket.Route.Stats.Waiting--;
                ticket.Route = Refresh(ticket.Route);
                ticket.Route.Stats.Waiting++;
                if (!snapshot.TryResolve(ticket.Route.Name, out _) || !CandidateFilter.AnyLeft(ticket.Route.Replicas, ticket.Tried))
                {
                    _queue.Remove(entry);
                    Forget(ticket);
                    ended.Add((ticket, WaitOutcome.Unavailable));
                }
            }

            HandOut(ended);
        }

        End(ended);
        Tell(losers, LeaseLoss.NodeLost);
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
                _queue.Remove(entry);
                Forget(entry.Value);
                ended.Add((entry.Value, WaitOutcome.Closed));
            }
        }

        End(ended);
    }

    public void Dispose() => _suspicionTimer.Dispose();

    private static void End(List<(Ticket Ticket, WaitOutcome Outcome)> ended)
    {
        foreach (var (ticket, outcome) in ended)
        {
            ticket.EndWait(outcome);
        }
    }

    private static void Forget(Ticket ticket)
    {
        ticket.Entry = null;
        ticket.Route.Stats.Waiting--;
    }

    private static Problem Closing() =>
        new(ProblemCode.NodeUnavailable, "the server is shutting down and takes no new work; try again when it is back", Backoff: new Backoff(1000));

    private void ClearSuspicion()
    {
        List<(Ticket Ticket, WaitOutcome Outcome)> ended = [];
        lock (_gate)
        {
            foreach (var replica in _snapshot.Replicas)
            {
                replica.Load.Suspect = false;
            }

            HandOut(ended);
        }

        End(ended);
    }

    private ModelRoute Refresh(ModelRoute route) => _snapshot.TryResolve(route.Name, out var newest) ? newest : route;

    private bool TryLease(Ticket ticket)
    {
        const int OnStack = 64;
        ReadOnlySpan<Replica> replicas = ticket.Route.Replicas;
        Span<Candidate> candidates = replicas.Length <= OnStack ? stackalloc Candidate[OnStack] : new Candidate[replicas.Length];
        var count = CandidateFilter.Select(replicas, ticket.Tried, candidates);
        if (count == 0)
        {
            return false;
        }

        var choice = count == 1 ? 0 : _strategy.Choose(candidates[..count], ticket.Route.Stats.Turn++);
        Lease(ticket, replicas[candidates[choice].Index]);
        return true;
    }

    private Admittance Join(Ticket ticket, out Ticket? evicted)
    {
        evicted = null;
        var route = ticket.Route;
        if (!route.CanWait)
        {
            var (code, reason) = route.Unavailability();
            return Refuse(ticket, code, reason, leastMs: 1000);
        }

        var estimate = EstimateOf(route, route.Stats.Waiting);
        if (estimate.Measured && ticket.DeadlineMs < estimate.Milliseconds)
        {
            var text = $"the request would start in about {estimate.Milliseconds:F0} ms, later than its deadline of {ticket.DeadlineMs:F0} ms";
            ticket.Refusal = new Problem(ProblemCode.DeadlineUnmet, text, Status: 400);
            return Admittance.Refused;
        }

        var outcome = _queue.Enqueue(ticket, ticket.Class, ticket.Rank, ticket.Arrived, out var entry, out var victim);
        if (outcome == EnqueueOutcome.Refused)
        {
            var text = $"the queue is full ({_queue.Count} of {_options.Capacity} places taken, policy {_options.PolicyName})";
            return Refuse(ticket, ProblemCode.AdmissionReject, text, leastMs: 1);
        }

        if (victim is not null)
        {
            evicted = victim.Value;
            Forget(evicted);
        }

        BeginWait(ticket, entry!);
        ticket.Predicted = estimate;
        return Admittance.Waiting;
    }

    private Admittance Rejoin(Ticket ticket)
    {
        if (_closed || !CandidateFilter.AnyLeft(ticket.Route.Replicas, ticket.Tried))
        {
            return Admittance.Refused;
        }

        BeginWait(ticket, _queue.Restore(ticket, ticket.Class, ticket.Rank, ticket.Arrived));
        return Admittance.Waiting;
    }

    private void BeginWait(Ticket ticket, QueueEntry<Ticket> entry)
    {
        ticket.BeginWait();
        ticket.Entry = entry;
        ticket.Route.Stats.Waiting++;
    }

    private Admittance Refuse(Ticket ticket, ProblemCode code, string message, int leastMs)
    {
        ticket.Refusal = new Problem(code, message, Backoff: NextBackoff(ticket.Route, leastMs));
        return Admittance.Refused;
    }

    private Ticket? NextFor(ReplicaLoad freed)
    {
        if (freed.Current is not { } replica || !CandidateFilter.Accepts(replica, []))
        {
            return null;
        }

        var entry = _queue.TryTake(_time.GetTimestamp(), replica, static (ticket, replica) => Suits(ticket, replica));
        if (entry is null)
        {
            return null;
        }

        Forget(entry.Value);
        Lease(entry.Value, replica);
        return entry.Value;
    }

    private static bool Suits(Ticket ticket, Replica replica) =>
        Array.IndexOf(ticket.Route.Replicas, replica) >= 0 && CandidateFilter.Accepts(replica, ticket.Tried);

    private void HandOut(List<(Ticket Ticket, WaitOutcome Outcome)> ended)
    {
        var now = _time.GetTimestamp();
        while (_queue.TryTake(now, this, static (ticket, desk) => desk.TryLease(ticket)) is { } entry)
        {
            Forget(entry.Value);
            ended.Add((entry.Value, WaitOutcome.Granted));
        }
    }

    private Backoff NextBackoff(ModelRoute route, int leastMs) => Backoff.Of(EstimateOf(route, 0).Milliseconds, leastMs, _random);

    // Interactive waiters of the same route stand before a batch one; the route's count bounds the places that matter to this request.
    private int AheadOf(Ticket ticket)
    {
        var position = _queue.PositionOf(ticket.Entry!);
        var before = ticket.Class == QueueClass.Interactive ? position : position + _queue.CountOf(QueueClass.Interactive);
        return Math.Min(before, Math.Max(0, ticket.Route.Stats.Waiting - 1));
    }

    private static WaitEstimate EstimateOf(ModelRoute route, int ahead)
    {
        var slots = 0;
        foreach (var replica in route.Replicas)
        {
            slots += replica.IsReady ? replica.Status.SlotsTotal : 0;
        }

        return WaitEstimate.Start(ahead, route.Stats.ServiceMs, slots);
    }
}
