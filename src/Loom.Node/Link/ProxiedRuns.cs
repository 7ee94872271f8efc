using System.Collections.Immutable;
using Loom.Core.Web;
using Loom.Node.Pools;
using Loom.Wire;

namespace Loom.Node.Link;

/// <summary>
/// The requests that pass through this agent, counted by run of a replica: one owner, every step short and under its lock. It refuses what exceeds the slots
/// of a replica, and knows when a run is quiet.
/// </summary>
/// <param name="time">Clock.</param>
public sealed class ProxiedRuns(TimeProvider time) : IReplicaTraffic
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(ReplicaId Replica, string Url), ProxiedRun> _runs = [];
    private Func<ImmutableArray<ReplicaStatus>> _snapshot = static () => [];
    private bool _closed;

    /// <summary>Names who knows the replicas; asked inside the lock, so that a run that was asked to be quiet gets nobody new.</summary>
    public void Watch(Func<ImmutableArray<ReplicaStatus>> snapshot) => _snapshot = snapshot;

    /// <summary>Lets nobody in any more; what runs goes on.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
        }
    }

    /// <summary>Requests that hold a slot of a replica, over all its runs.</summary>
    public int Busy(ReplicaId replica)
    {
        lock (_gate)
        {
            return _runs.Sum(r => r.Key.Replica == replica ? r.Value.Slots : 0);
        }
    }

    /// <summary>A request enters.</summary>
    /// <param name="pool">Pool.</param>
    /// <param name="replica">Replica of it.</param>
    /// <param name="takesSlot">Whether it has the engine generate something.</param>
    /// <returns>The replica as it was at that moment, and its run; <see cref="Leave"/> must follow.</returns>
    /// <exception cref="ProblemException">There is no such replica, it takes no work, or all its slots are taken.</exception>
    internal (ReplicaStatus Status, ProxiedRun Run) Enter(string pool, string replica, bool takesSlot)
    {
        lock (_gate)
        {
            if (_closed)
            {
                throw new ProblemException(new Problem(ProblemCode.NodeUnavailable, "this node is shutting down and takes no new work", Backoff: new Backoff(1000)));
            }

            var status = _snapshot().FirstOrDefault(r => r.Id.PoolId == pool && r.Id.ReplicaName == replica)
                ?? throw new ProblemException(new Problem(ProblemCode.NotFound, $"this node has no replica '{pool}/{replica}'"));
            if (status.Url is not { } url || status.State is not (ReplicaState.Ready or ReplicaState.Reloading))
            {
                var words = status.State.ToString().ToLowerInvariant();
                throw new ProblemException(new Problem(ProblemCode.PoolUnready, $"replica '{status.Id}' is {words} and takes no work", Backoff: new Backoff(1000)));
            }

            if (!_runs.TryGetValue((status.Id, url), out var run))
            {
                Forget(status.Id);
                _runs.Add((status.Id, url), run = new ProxiedRun { QuietSince = time.GetTimestamp() });
            }

            if (takesSlot && run.Slots >= status.SlotsTotal)
            {
                throw new ProblemException(new Problem(
                    ProblemCode.NoSlot, $"all {status.SlotsTotal} slots of replica '{status.Id}' are taken", Backoff: new Backoff(1000)));
            }

            run.Requests++;
            run.Slots += takesSlot ? 1 : 0;
            return (status, run);
        }
    }

    /// <summary>A request has ended.</summary>
    internal void Leave(ProxiedRun run, bool tookSlot)
    {
        lock (_gate)
        {
            run.Requests--;
            run.Slots -= tookSlot ? 1 : 0;
            if (run.Requests == 0)
            {
                run.QuietSince = time.GetTimestamp();
                run.Quiet?.TrySetResult();
                run.Quiet = null;
            }
        }
    }

    /// <inheritdoc/>
    public async Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline)
    {
        while (true)
        {
            Task quiet;
            lock (_gate)
            {
                if (!_runs.TryGetValue((replica, url), out var run) || run.Requests == 0)
                {
                    return true;
                }

                run.Quiet ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                quiet = run.Quiet.Task;
            }

            await quiet.WaitAsync(deadline).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!quiet.IsCompletedSuccessfully)
            {
                return false;
            }
        }
    }

    /// <summary>Waits until nothing runs at all; false when the deadline came first.</summary>
    public async Task<bool> QuietAsync(CancellationToken deadline)
    {
        ImmutableArray<(ReplicaId Replica, string Url)> runs;
        lock (_gate)
        {
            runs = [.. _runs.Keys];
        }

        var quiet = await Task.WhenAll(runs.Select(r => QuietAsync(r.Replica, r.Url, deadline))).ConfigureAwait(false);
        return Array.TrueForAll(quiet, q => q);
    }

    /// <inheritdoc/>
    public void Cut(ReplicaId replica, string url)
    {
        CancellationTokenSource? cut = null;
        lock (_gate)
        {
            if (_runs.TryGetValue((replica, url), out var run) && run.Requests > 0)
            {
                // Who enters afterwards, because the replica takes work again, must not meet the same end.
                cut = run.Cut;
                run.Cut = new CancellationTokenSource();
            }
        }

        cut?.Cancel();
    }

    /// <inheritdoc/>
    public TimeSpan? IdleFor(ReplicaId replica, string url)
    {
        lock (_gate)
        {
            return _runs.TryGetValue((replica, url), out var run) ? run.Requests > 0 ? TimeSpan.Zero : time.GetElapsedTime(run.QuietSince) : null;
        }
    }

    private void Forget(ReplicaId replica)
    {
        foreach (var old in _runs.Where(r => r.Key.Replica == replica && r.Value.Requests == 0).Select(r => r.Key).ToList())
        {
            _runs.Remove(old);
        }
    }
}

/// <summary>One run of a replica. Changed only by <see cref="ProxiedRuns"/>, under its lock.</summary>
internal sealed class ProxiedRun
{
    /// <summary>Requests under way.</summary>
    public int Requests { get; set; }

    /// <summary>Those of them that hold a slot.</summary>
    public int Slots { get; set; }

    /// <summary>Ends the requests that are under way now.</summary>
    public CancellationTokenSource Cut { get; set; } = new();

    /// <summary>Ends when nothing runs; null = nobody waits for that.</summary>
    public TaskCompletionSource? Quiet { get; set; }

    /// <summary>Timestamp of the end of the last request, or of the beginning.</summary>
    public long QuietSince { get; set; }
}
