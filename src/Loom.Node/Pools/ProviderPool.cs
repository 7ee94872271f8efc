using System.Collections.Immutable;
using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>
/// A pool of kind <c>openai</c>: somebody else's API, where nothing runs here. It can be closed to new work and opened again; there is nothing to load,
/// change or delete.
/// </summary>
internal sealed class ProviderPool
{
    private readonly Lock _gate = new();
    private readonly PoolPlan _plan;
    private readonly Action<ImmutableArray<ReplicaStatus>> _publish;
    private readonly Func<IReplicaTraffic> _traffic;
    private readonly TimeProvider _time;
    private ImmutableArray<ReplicaStatus> _replicas;
    private bool _busy;

    public ProviderPool(PoolPlan plan, string nodeId, ProviderPlan provider, Action<ImmutableArray<ReplicaStatus>> publish, Func<IReplicaTraffic> traffic, TimeProvider time)
    {
        _plan = plan;
        _publish = publish;
        _traffic = traffic;
        _time = time;
        _replicas = [.. Enumerable.Range(0, plan.Replicas).Select(i => ReplicaView.Of(new ReplicaId(nodeId, plan.Id, $"r{i}"), plan, provider))];
    }

    /// <summary>How its replicas are.</summary>
    public ImmutableArray<ReplicaStatus> Replicas
    {
        get
        {
            lock (_gate)
            {
                return _replicas;
            }
        }
    }

    /// <summary>Runs a command; see <see cref="PoolCommands.RunAsync"/>.</summary>
    /// <exception cref="OperationConflictException">Another one is under way.</exception>
    public async Task<OperationStatus> RunAsync(PoolCommand command, TimeSpan within, Action<OperationStatus> progress, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            if (_busy)
            {
                throw new OperationConflictException($"pool '{_plan.Id}' is busy with another operation; one operation a pool at a time, ask again when it has ended");
            }

            _busy = true;
        }

        return await DoAsync(command, within, progress).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task<OperationStatus> DoAsync(PoolCommand command, TimeSpan within, Action<OperationStatus> progress)
    {
        var log = new OperationLog(command.Word, _plan.Id, _replicas[0].Id.NodeId, progress);
        try
        {
            switch (command)
            {
                case PoolCommand.Preload:
                    return log.End(OperationState.Succeeded, null); // always there
                case PoolCommand.Drain drain:
                    Set(ReplicaState.Draining);
                    await EmptyAsync(log, PoolCommands.Deadline(drain.DeadlineMs, within)).ConfigureAwait(false);
                    return log.End(OperationState.Succeeded, null);
                case PoolCommand.Undrain:
                    Set(ReplicaState.Ready);
                    return log.End(OperationState.Succeeded, null);
                default:
                    return log.End(OperationState.Failed, ModelChange.Refusal(_plan));
            }
        }
        finally
        {
            lock (_gate)
            {
                _busy = false;
            }
        }
    }

    private void Set(ReplicaState state)
    {
        lock (_gate)
        {
            _replicas = [.. _replicas.Select(r => r with { State = state })];
            _publish(_replicas);
        }
    }

    private Task EmptyAsync(OperationLog log, TimeSpan within) => Task.WhenAll(Replicas.Select(async replica =>
    {
        var step = $"drain:{replica.Id.ReplicaName}";
        log.Running(step, StepKinds.Drain, "waiting for running requests");
        using var deadline = new CancellationTokenSource(within, _time);
        if (!await _traffic().QuietAsync(replica.Id, replica.Url!, deadline.Token).ConfigureAwait(false))
        {
            _traffic().Cut(replica.Id, replica.Url!);
        }

        log.Done(step, StepKinds.Drain);
    }));
}
