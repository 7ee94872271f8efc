using Loom.Control.Catalog;
using Loom.Control.Placement;

namespace Loom.Control.Admission;

// What changes when nodes speak.
internal sealed partial class AdmissionDesk
{
    private static readonly TimeSpan s_suspicion = TimeSpan.FromSeconds(1);

    private readonly ITimer _suspicionTimer;
    private readonly List<ReplicaLoad> _suspects = [];
    private TaskCompletionSource? _nextView;

    /// <summary>Sends no work to a replica that refused a connection until its node speaks again or a second has passed.</summary>
    public void Suspect(Replica replica)
    {
        lock (_gate)
        {
            if (!replica.Load.Suspect)
            {
                replica.Load.Suspect = true;
                _suspects.Add(replica.Load);
            }
        }

        _suspicionTimer.Change(s_suspicion, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Takes over a new view of the replicas: waiters move to it, those nobody can serve any more are told, free slots are handed out.</summary>
    public void Apply(SnapshotChange change)
    {
        List<(Ticket Ticket, WaitOutcome Outcome)> ended = [];
        List<(Ticket Ticket, long Lease)> losers = [];
        List<SwapOrder>? orders;
        lock (_gate)
        {
            _snapshot = change.Snapshot;
            TakeOver(change, losers);
            MoveWaiters(ended);
            // What is kept for a waiter must be kept before anything is handed out.
            orders = Replan(ended);
            _nextView?.SetResult();
            _nextView = null;
        }

        End(ended);
        Tell(losers, LeaseLoss.NodeLost);
        Place(orders);
    }

    /// <summary>The nodes spoke and nothing but counters changed.</summary>
    public void Heard()
    {
        List<(Ticket Ticket, WaitOutcome Outcome)> ended = [];
        List<SwapOrder>? orders = null;
        lock (_gate)
        {
            if (_suspects.Count > 0 || _queue.Count > 0)
            {
                Trust();
                orders = Replan(ended);
            }
        }

        End(ended);
        Place(orders);
    }

    private void TakeOver(SnapshotChange change, List<(Ticket Ticket, long Lease)> losers)
    {
        foreach (var gone in change.Gone)
        {
            gone.Load.Current = null;
        }

        var now = _time.GetTimestamp();
        foreach (var young in change.New)
        {
            var load = young.Load;
            load.Current = young;
            load.IdleSince = load.IdleSince == 0 ? now : load.IdleSince;
            TakeOver(young);
        }

        Trust();
        Retire(change, losers);
    }

    private void MoveWaiters(List<(Ticket Ticket, WaitOutcome Outcome)> ended)
    {
        if (_queue.Count == 0)
        {
            return;
        }

        foreach (var entry in _queue.Entries().ToList())
        {
            var ticket = entry.Value;
            Count(ticket, -1);
            ticket.Route = Refresh(ticket.Route);
            Count(ticket, +1);
            if (!_snapshot.TryResolve(ticket.Route.Name, out _) || !CandidateFilter.AnyLeft(DemandOf(ticket)))
            {
                ticket.Refusal = _snapshot.TryResolve(ticket.Route.Name, out _) ? NobodyCan(ticket) : null;
                Dismiss(entry, WaitOutcome.Unavailable, ended);
            }
        }
    }

    private void Trust()
    {
        foreach (var load in _suspects)
        {
            load.Suspect = false;
        }

        _suspects.Clear();
    }

    private void ClearSuspicion()
    {
        List<(Ticket Ticket, WaitOutcome Outcome)> ended = [];
        List<SwapOrder>? orders;
        lock (_gate)
        {
            Trust();
            orders = Replan(ended);
        }

        End(ended);
        Place(orders);
    }

    // Whether the newest view lets work go to this run.
    private bool MayBegin(Loom.Wire.ReplicaId id, string url) => _snapshot.Find(id) is { IsReady: true } replica && replica.Status.Url == url;
}
