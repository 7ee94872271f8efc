using Loom.Node.Provisioning;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>Stops a pool and deletes what was fetched for it. Everything is looked up and judged before the first engine is stopped.</summary>
internal sealed class Purge(PoolOwner pool, OperationLog log, PoolCommand.Purge command, TimeSpan within, CancellationToken stop)
{
    // Long enough for the engines' own word where nobody counts the requests.
    private static readonly TimeSpan s_busyWithin = TimeSpan.FromSeconds(1);

    private readonly EngineChange _engines = new(pool, log, stop);

    public async Task<OperationEnd> RunAsync()
    {
        var state = pool.State;
        var targets = pool.Effects.PurgeTargets(state, command);
        pool.Tell(new PoolEvent.DrainSet(Drained: true));
        try
        {
            await EmptyAsync(state).ConfigureAwait(false);
            for (var at = 0; at < state.Members.Length; at++)
            {
                pool.Tell(new PoolEvent.Rested(at, "purged; starts on demand, or by a preload"));
                await _engines.HaltAsync(state.Members[at].Engine).ConfigureAwait(false);
                log.Done($"stop:{state.Members[at].Id.ReplicaName}", StepKinds.Purge, "stopped");
            }
        }
        finally
        {
            pool.Tell(new PoolEvent.DrainSet(state.Drained));
        }

        foreach (var target in targets)
        {
            try
            {
                await pool.Effects.DeleteAsync(target, stop).ConfigureAwait(false);
                log.Done($"delete:{target.Name}", StepKinds.Purge, $"deleted {target.Path}");
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new ProvisionException(ProvisionExit.Configuration, $"{target.Name}: '{target.Path}' cannot be deleted: {e.Message}", e);
            }
        }

        return OperationEnd.Succeeded;
    }

    private async Task EmptyAsync(PoolState state)
    {
        var drain = command.DrainFirst ?? true;
        if (drain || command.Force)
        {
            await Task.WhenAll(state.Members.Select(m => _engines.EmptyAsync(m, drain ? within : TimeSpan.Zero))).ConfigureAwait(false);
            return;
        }

        foreach (var member in state.Members)
        {
            if (member.Engine.ServingUrl is { } url && !await _engines.QuietAsync(member.Id, url, s_busyWithin).ConfigureAwait(false))
            {
                throw new OperationConflictException(
                    $"replica {member.Id.ReplicaName} of pool '{state.Plan.Id}' has work in flight; purge with drain_first to let it finish, or force to end it");
            }
        }
    }
}
