using Loom.Control.Catalog;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Control.Admission;

// Who waits, where, and for how long.
internal sealed partial class AdmissionDesk
{
    // A prediction looks at no more replicas than this; the first of many say enough about the rest.
    private const int MostLookedAt = 256;

    /// <summary>Place within the class (0 = next) and predicted wait of a waiting ticket; position -1 when it does not wait any more.</summary>
    public (int Position, WaitEstimate Estimate) Outlook(Ticket ticket)
    {
        lock (_gate)
        {
            if (ticket.Entry is null)
            {
                return (-1, default);
            }

            var position = _queue.PositionOf(ticket.Entry);
            return (position, EstimateOf(ticket.Route, AheadOf(ticket), position));
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

    private Admittance Join(Ticket ticket, out Ticket? evicted)
    {
        evicted = null;
        var route = ticket.Route;
        route.Stats.EndFailures(_time.GetTimestamp());
        var demand = DemandOf(ticket);
        if (!CandidateFilter.AnyLeft(demand))
        {
            ticket.Refusal = NobodyCan(ticket);
            return Admittance.Refused;
        }

        var interactive = ticket.Class == QueueClass.Interactive;
        var ahead = interactive ? route.Stats.WaitingInteractive : route.Stats.Waiting;
        var estimate = EstimateOf(route, ahead, _queue.CountOf(ticket.Class));
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
            ticket.Refusal = new Problem(ProblemCode.AdmissionReject, text, Backoff: NextBackoff(route, leastMs: 1)) { PolicyLabel = _options.PolicyName };
            return Admittance.Refused;
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
        if (_closed || !CandidateFilter.AnyLeft(DemandOf(ticket)))
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
        Count(ticket, +1);
    }

    private void Forget(Ticket ticket)
    {
        ticket.Entry = null;
        Count(ticket, -1);
    }

    private void Count(Ticket ticket, int one)
    {
        if (ticket.Class == QueueClass.Interactive)
        {
            ticket.Route.Stats.WaitingInteractive += one;
        }
        else
        {
            ticket.Route.Stats.WaitingBatch += one;
        }

        if (one > 0)
        {
            ticket.IsForeign = !CandidateFilter.HasHome(DemandOf(ticket));
        }

        _foreign += ticket.IsForeign ? one : 0;
    }

    private void Dismiss(QueueEntry<Ticket> entry, WaitOutcome outcome, List<(Ticket Ticket, WaitOutcome Outcome)> ended)
    {
        _queue.Remove(entry);
        Forget(entry.Value);
        ended.Add((entry.Value, outcome));
    }

    /// <summary>Why no replica can serve a request, neither now nor later.</summary>
    private Problem NobodyCan(Ticket ticket)
    {
        var route = ticket.Route;
        if (route.Offering.All(r => !r.Offers(ticket.Work) && !r.Status.Capabilities.IsEmpty) || route.Replicas is { Length: > 0 } loaded && Array.TrueForAll(loaded, r => r.IsReady && !r.Offers(ticket.Work)))
        {
            var shown = (route.Replicas.Length > 0 ? route.Replicas : route.Offering)[0].Status;
            return new Problem(ProblemCode.UnsupportedRoute, $"engine '{shown.EngineKind}' of model '{route.Model}' does not offer {ticket.Work.Path}");
        }

        if (route.Stats.NewestFailure is { } failure)
        {
            var left = (int)Math.Clamp(_time.GetElapsedTime(_time.GetTimestamp(), failure.Until).TotalMilliseconds, 1000, 60_000);
            return new Problem(ProblemCode.PoolUnready, $"model '{route.Model}' could not be loaded: {failure.Reason}", Backoff: new Backoff(left));
        }

        if (ticket.Wish is not null && route.CanWait)
        {
            return new Problem(ProblemCode.PoolUnready, $"no replica of model '{route.Model}' fits what the request asks of its place", Backoff: NextBackoff(route, leastMs: 1000));
        }

        var (code, reason) = route.Unavailability();
        return new Problem(code, reason, Backoff: NextBackoff(route, leastMs: 1000));
    }

    private Backoff NextBackoff(ModelRoute route, int leastMs) => Backoff.Of(EstimateOf(route, 0, 0).Milliseconds, leastMs, _random);

    // Interactive waiters of the same model stand before a batch one; the model's count bounds the places that matter to this request.
    private int AheadOf(Ticket ticket)
    {
        var position = _queue.PositionOf(ticket.Entry!);
        var stats = ticket.Route.Stats;
        return ticket.Class == QueueClass.Interactive
            ? Math.Min(position, Math.Max(0, stats.WaitingInteractive - 1))
            : Math.Min(position, Math.Max(0, stats.WaitingBatch - 1)) + stats.WaitingInteractive;
    }

    private void Observe(Ticket ticket)
    {
        var now = _time.GetTimestamp();
        var first = ticket.FirstByteAt == 0 ? now : ticket.FirstByteAt;
        ticket.Route.Stats.Observe(
            _time.GetElapsedTime(ticket.GrantedAt, first).TotalMilliseconds, _time.GetElapsedTime(first, now).TotalMilliseconds, ticket.Tokens);
    }

    // Remaining time of the next slot to free, then the work ahead on all slots. While nothing is loaded, the slot frees when the load is done.
    private WaitEstimate EstimateOf(ModelRoute route, int ahead, int position)
    {
        var stats = route.Stats;
        var slots = 0;
        var next = double.MaxValue;
        var now = _time.GetTimestamp();
        foreach (var replica in route.Replicas.AsSpan(0, Math.Min(route.Replicas.Length, MostLookedAt)))
        {
            if (!replica.IsReady)
            {
                continue;
            }

            slots += replica.Status.SlotsTotal;
            foreach (var holder in replica.Load.Holders)
            {
                var left = stats.ServiceMs(holder.MostTokens) - _time.GetElapsedTime(holder.GrantedAt, now).TotalMilliseconds;
                next = Math.Min(next, Math.Max(0, left));
            }
        }

        if (slots > 0)
        {
            return WaitEstimate.Of(stats.Measured ? Math.Min(next, stats.ServiceMs()) : null, stats.ServiceMs(), ahead, slots, position);
        }

        var offered = route.Offering[0].Status.SlotsTotal;
        return WaitEstimate.Of(LoadLeft(route, now), stats.ServiceMs(), ahead, offered, position);
    }
}
