using Loom.Control.Catalog;
using Loom.Wire;

namespace Loom.Control.Admission;

// Who holds which slot, and how it is taken away.
internal sealed partial class AdmissionDesk
{
    // Runs that no replica of the newest snapshot stands for, with requests that have not ended.
    private readonly List<ReplicaLoad> _retired = [];
    private long _lastLease;

    /// <summary>Waits until no request runs on one run of a replica; true when that is so, false when the deadline came first.</summary>
    /// <param name="replica">The replica.</param>
    /// <param name="url">Address of the run.</param>
    /// <param name="deadline">Ends the wait.</param>
    public async Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline)
    {
        while (true)
        {
            Task quiet;
            lock (_gate)
            {
                if (Loads().FirstOrDefault(load => load.Leases > 0 && load.Id == replica && load.Url == url) is not { } load)
                {
                    return true;
                }

                load.WhenQuiet ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                quiet = load.WhenQuiet.Task;
            }

            await quiet.WaitAsync(deadline).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!quiet.IsCompletedSuccessfully)
            {
                return false;
            }
        }
    }

    /// <summary>Takes their slots away from all requests on one run of a replica, because its pool is drained.</summary>
    public void Cut(ReplicaId replica, string url) => Take(load => load.Id == replica && load.Url == url, LeaseLoss.Drained);

    /// <summary>Takes their slots away from all requests on the replicas of a node that is lost.</summary>
    public void LoseNode(string nodeId) => Take(load => load.Id.NodeId == nodeId, LeaseLoss.NodeLost);

    private static void Tell(List<(Ticket Ticket, long Lease)> losers, LeaseLoss loss)
    {
        foreach (var (ticket, lease) in losers)
        {
            ticket.Holder?.Lost(lease, loss);
        }
    }

    private static void Mark(ReplicaLoad load, LeaseLoss loss, List<(Ticket Ticket, long Lease)> losers)
    {
        foreach (var ticket in load.Holders)
        {
            if (ticket.Loss == LeaseLoss.None)
            {
                ticket.Loss = loss;
                losers.Add((ticket, ticket.Lease));
            }
        }
    }

    private void Take(Func<ReplicaLoad, bool> which, LeaseLoss loss)
    {
        List<(Ticket Ticket, long Lease)> losers = [];
        lock (_gate)
        {
            foreach (var load in Loads().Where(which))
            {
                Mark(load, loss, losers);
            }
        }

        Tell(losers, loss);
    }

    private IEnumerable<ReplicaLoad> Loads() => _snapshot.Replicas.Select(r => r.Load).Concat(_retired);

    private void Lease(Ticket ticket, Replica replica)
    {
        replica.Load.Add(ticket);
        ticket.Replica = replica;
        ticket.HoldsLease = true;
        ticket.Lease = ++_lastLease;
        ticket.Loss = LeaseLoss.None;
        ticket.GrantedAt = _time.GetTimestamp();
    }

    // The slot is free again, or settles; who might take it is the caller's question.
    private static ReplicaLoad Return(Ticket ticket, bool settles)
    {
        var load = ticket.Replica!.Load;
        ticket.HoldsLease = false;
        load.Remove(ticket, settles);
        return load;
    }

    // A run that the newest view does not name keeps its requests until they end, but a replica that has vanished altogether cannot answer them.
    private void Retire(ReplicaSnapshot before, ReplicaSnapshot now, List<(Ticket Ticket, long Lease)> losers)
    {
        _retired.RemoveAll(static load => load.Leases == 0);
        var known = now.Replicas.Select(r => r.Status.Id).ToHashSet();
        foreach (var load in before.Replicas.Select(r => r.Load).Where(load => load.Current is null && load.Leases > 0))
        {
            _retired.Add(load);
            if (!known.Contains(load.Id))
            {
                Mark(load, LeaseLoss.NodeLost, losers);
            }
        }
    }
}
