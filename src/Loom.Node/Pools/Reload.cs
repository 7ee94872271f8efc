using System.Collections.Immutable;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Pools;

/// <summary>
/// Another model for a whole pool: all replicas have it afterwards, or all have the old one. The new model is fetched and checked first. Where memory
/// and cores suffice for both, new engines are started and warmed while the old ones serve, then all take over in one step; where they do not, each replica is
/// emptied, stopped and started anew, one after the other, and what was replaced is put back when one of them does not come up.
/// </summary>
internal sealed partial class Reload(PoolOwner pool, OperationLog log, PoolCommand.Reload command, TimeSpan within, CancellationToken stop)
{
    private readonly EngineChange _engines = new(pool, log, stop);
    private readonly PoolPlan _old = pool.State.Plan;
    private readonly PoolPlan _plan = pool.State.Loading(command.NewModelRef);

    public async Task<OperationEnd> RunAsync()
    {
        if (ModelChange.Refusal(_old) is { } refusal)
        {
            return OperationEnd.Failed(refusal);
        }

        PreparedEngine? prepared = null;
        try
        {
            prepared = await pool.Effects.PrepareAsync(_plan, log, stop).ConfigureAwait(false);
        }
        catch (ProvisionException e) when (e.Exit == ProvisionExit.DoesNotFit)
        {
            // It is there and whole; there is room for it once the old one is gone, or there is none at all, which is then said by its start.
        }
        catch (ProvisionException e)
        {
            return OperationEnd.RolledBack($"{e.Message}; model '{_old.ModelIds[0]}' stays");
        }

        var running = pool.State.Members.FirstOrDefault(m => !m.Engine.AtRest)?.Engine.State.CurrentRun;
        var beside = prepared is not null && pool.Effects.CoresSuffice(_old, running, _plan, prepared);
        var end = !beside ? null : await BesideAsync(prepared!).ConfigureAwait(false);
        return end ?? await OneAfterTheOtherAsync().ConfigureAwait(false);
    }

    /// <summary>Null = they do not fit beside each other after all; nothing has changed.</summary>
    private async Task<OperationEnd?> BesideAsync(PreparedEngine prepared)
    {
        var members = Enumerable.Range(0, pool.State.Members.Length).ToImmutableArray();
        foreach (var at in members)
        {
            pool.Tell(new PoolEvent.ModeSet(at, MemberMode.Beside));
            // Memory is judged anew for each further one: those before it have taken theirs.
            var outcome = await _engines.BringUpAsync(at, _plan, at == 0 ? prepared : null, warm: true).ConfigureAwait(false);
            if (outcome.Trouble is { } trouble)
            {
                await GiveUpAsync(members).ConfigureAwait(false);
                return outcome.Fits ? OperationEnd.RolledBack($"model '{_plan.ModelIds[0]}' does not serve: {trouble}; model '{_old.ModelIds[0]}' stays") : null;
            }
        }

        var replaced = members.Select(at => pool.State.Members[at]).ToImmutableArray();
        pool.Tell(new PoolEvent.Replanned(_plan));
        pool.Tell(new PoolEvent.Switched(members));
        await Task.WhenAll(replaced.Select(async old =>
        {
            await _engines.EmptyAsync(old, within).ConfigureAwait(false);
            await pool.RetireAsync(old.Engine.Key).ConfigureAwait(false);
        })).ConfigureAwait(false);
        return OperationEnd.Succeeded;
    }

    private async Task GiveUpAsync(ImmutableArray<int> members)
    {
        foreach (var at in members)
        {
            await _engines.RaiseAsync(at).ConfigureAwait(false);
        }
    }

    private async Task<OperationEnd> OneAfterTheOtherAsync()
    {
        List<(int Member, Seat Old)> replaced = [];
        for (var at = 0; at < pool.State.Members.Length; at++)
        {
            var before = pool.State.Members[at];
            var key = _engines.Lower(at, _plan);
            await _engines.EmptyAsync(before, within).ConfigureAwait(false);
            var outcome = await _engines.ReplaceAsync(at, key, warm: true).ConfigureAwait(false);
            if (outcome.Trouble is { } trouble)
            {
                return await PutBackAsync(at, before.Engine, replaced, $"model '{_plan.ModelIds[0]}' does not serve: {trouble}").ConfigureAwait(false);
            }

            replaced.Add((at, before.Engine));
        }

        pool.Tell(new PoolEvent.Replanned(_plan));
        foreach (var (_, old) in replaced)
        {
            await pool.RetireAsync(old.Key).ConfigureAwait(false);
        }

        return OperationEnd.Succeeded;
    }

    private async Task<OperationEnd> PutBackAsync(int failed, Seat old, List<(int Member, Seat Old)> replaced, string reason)
    {
        var trouble = await _engines.RestoreAsync(failed, old).ConfigureAwait(false);
        foreach (var (member, before) in replaced)
        {
            trouble = await _engines.ReturnAsync(member, before, within).ConfigureAwait(false) ?? trouble;
        }

        if (trouble is null)
        {
            return OperationEnd.RolledBack($"{reason}; model '{_old.ModelIds[0]}' is back");
        }

        LogLost(pool.Logger, _old.Id, reason, trouble);
        return OperationEnd.Failed($"{reason}; and the old model '{_old.ModelIds[0]}' does not come back either: {trouble}");
    }

    [LoggerMessage(EventId = 335, Level = LogLevel.Critical, Message = "pool {Pool} has lost both models: {Reason}; the old one does not come back either: {Trouble}")]
    private static partial void LogLost(ILogger logger, string pool, string reason, string trouble);
}
