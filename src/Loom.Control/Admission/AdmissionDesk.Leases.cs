using Loom.Control.Catalog;
using Loom.Wire;

namespace Loom.Control.Admission;

// Who holds which slot, and how it is taken away.
internal sealed partial class AdmissionDesk
{
    // Runs that no replica of the newest snapshot stands for, with requests that have not ended.
    private readonly List<ReplicaLoad> _retired = [];
    private long _lastLease;
    private TaskCompletionSource? _nextReturn;

    /// <summary>
    /// Waits until no request runs on one run of a replica and, by the newest view, none can begin there; true when that is so, false when the deadline came
    /// first.
    /// </summary>
    /// <param name="replica">The replica.</param>
    /// <param name="url">Address of the run.</param>
    /// <param name="deadline">Ends the wait.</param>
    public async Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline)
    {
        while (true)
        {
            Task next;
            lock (_gate)
            {
                var load = LoadsOf(replica, url).FirstOrDefault(load => load.Leases > 0);
                if (load is null && !MayBegin(replica, url))
                {
                    return true;
                }

                var waiter = load is null
                    ? _nextView ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
                    : load.WhenQuiet ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                next = waiter.Task;
            }

            await next.WaitAsync(deadline).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!next.IsCompletedSuccessfully)
            {
                return false;
            }
        }
    }

    /// <summary>Waits until no request for a model runs on one run of a replica, whatever else runs there; false when the deadline came first. Offer the model no more before.</summary>
    public async Task<bool> QuietAsync(ReplicaId replica, string url, string model, CancellationToken deadline)
    {
        while (true)
        {
            Task next;
            lock (_gate)
            {
                if (!LoadsOf(replica, url).Any(load => load.Holders.Any(t => t.Route.Model == model)))
                {
                    return true;
                }

                next = (_nextReturn ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }

            await next.WaitAsync(deadline).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!next.IsCompletedSuccessfully)
            {
                return false;
            }
        }
    }

    /// <summary>How long no request has run on one run of a replica; zero while one runs, null when the run is not known.</summary>
    public TimeSpan? IdleFor(ReplicaId replica, string url)
    {
        lock (_gate)
        {
            var loads = LoadsOf(replica, url).ToList();
            return loads.Count == 0 ? null
                : loads.Exists(load => load.Leases > 0) ? TimeSpan.Zero
                : _time.GetElapsedTime(loads.Max(load => load.IdleSince));
        }
    }

    /// <summary>Requests that run on a replica, on all its runs.</summary>
    public int LeasesOf(ReplicaId replica)
    {
        lock (_gate)
        {
            return Loads().Where(load => load.Id == replica).Sum(load => load.Leases);
        }
    }

    /// <summary>Takes their slots away from all requests on one run of a replica, because its pool is drained or their model retired.</summary>
    /// <param name="replica">The replica.</param>
    /// <param name="url">Address of the run.</param>
    /// <param name="model">Only requests for this model; null = all.</param>
    public void Cut(ReplicaId replica, string url, string? model = null) => Take(load => load.Id == replica && load.Url == url, LeaseLoss.Drained, model);

    /// <summary>Takes their slots away from all requests on the replicas of a node that is lost.</summary>
    public void LoseNode(string nodeId) => Take(load => load.Id.NodeId == nodeId, LeaseLoss.NodeLost);

    /// <summary>
    /// Ends the lease of a request that was cut while the engine worked. The slot stays in use until <see cref="Settled"/>, because the engine may need a
    /// moment to notice. Null when the ticket holds none.
    /// </summary>
    public Replica? Settle(Ticket ticket)
    {
        lock (_gate)
        {
            if (!ticket.HoldsLease)
            {
                return null;
            }

            Return(ticket, settles: true);
            return ticket.Replica;
        }
    }

    /// <summary>The engine is done with cancelled requests: their slots are free.</summary>
    /// <param name="replica">The replica as it was when they were cancelled.</param>
    /// <param name="slots">How many; more than settle counts as all of them.</param>
    /// <returns>How many still settle.</returns>
    public int Settled(Replica replica, int slots)
    {
        List<Ticket> next = [];
        List<SwapOrder>? orders;
        int left;
        lock (_gate)
        {
            var load = replica.Load;
            load.Settled(Math.Min(slots, load.Settling));
            left = load.Settling;
            Idle(load);
            for (var i = 0; i < slots && NextFor(load) is { } ticket; i++)
            {
                next.Add(ticket);
            }

            orders = WhenIdle(load);
        }

        next.ForEach(static ticket => ticket.EndWait(WaitOutcome.Granted));
        Place(orders);
        return left;
    }

    /// <summary>Slots in use on a run, and how many of them settle.</summary>
    public (int Leases, int Settling) UseOf(Replica replica)
    {
        lock (_gate)
        {
            return (replica.Load.Leases, replica.Load.Settling);
        }
    }

    private static void Tell(List<(Ticket Ticket, long Lease)> losers, LeaseLoss loss)
    {
        foreach (var (ticket, lease) in losers)
        {
            ticket.Holder?.Lost(lease, loss);
        }
    }

    private static void Mark(ReplicaLoad load, LeaseLoss loss, List<(Ticket Ticket, long Lease)> losers, string? model = null)
    {
        foreach (var ticket in load.Holders)
        {
            if (ticket.Loss == LeaseLoss.None && (model is null || ticket.Route.Model == model))
            {
                ticket.Loss = loss;
                losers.Add((ticket, ticket.Lease));
            }
        }
    }

    private void Take(Func<ReplicaLoad, bool> which, LeaseLoss loss, string? model = null)
    {
        List<(Ticket Ticket, long Lease)> losers = [];
        lock (_gate)
        {
            foreach (var load in Loads().Where(which))
            {
                Mark(load, loss, losers, model);
            }
        }

        Tell(losers, loss);
    }

    private IEnumerable<ReplicaLoad> Loads() => _snapshot.Replicas.Select(r => r.Load).Concat(_retired);

    private IEnumerable<ReplicaLoad> LoadsOf(ReplicaId replica, string url) => Loads().Where(load => load.Id == replica && load.Url == url);

    private void Lease(Ticket ticket, Replica replica)
    {
        replica.Load.Add(ticket);
        ticket.Replica = replica;
        ticket.HoldsLease = true;
        ticket.Lease = ++_lastLease;
        ticket.Loss = LeaseLoss.None;
        ticket.GrantedAt = _time.GetTimestamp();
        ticket.Trace?.Placed(replica, ticket.GrantedAt);
    }

    // The slot is free again, or settles; who might take it is the caller's question.
    private ReplicaLoad Return(Ticket ticket, bool settles)
    {
        var load = ticket.Replica!.Load;
        ticket.HoldsLease = false;
        load.Remove(ticket, settles);
        _nextReturn?.SetResult();
        _nextReturn = null;
        Idle(load);
        return load;
    }

    private void Idle(ReplicaLoad load)
    {
        if (load.Leases == 0)
        {
            load.IdleSince = _time.GetTimestamp();
        }
    }

    // A run that the newest view does not name keeps its requests until they end, but a replica that has vanished altogether cannot answer them.
    private void Retire(SnapshotChange change, List<(Ticket Ticket, long Lease)> losers)
    {
        _retired.RemoveAll(static load => load.Leases == 0);
        foreach (var load in change.Gone.Select(r => r.Load).Where(load => load.Current is null && load.Leases > 0))
        {
            _retired.Add(load);
            if (!change.New.Any(r => r.Status.Id == load.Id))
            {
                Mark(load, LeaseLoss.NodeLost, losers);
            }
        }
    }
}
