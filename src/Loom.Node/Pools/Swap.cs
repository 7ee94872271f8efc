using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Pools;

/// <summary>
/// Another of its models for one replica that nobody uses, because requests wait for it. A replica with work in flight is left alone. A model that does not
/// come up is replaced by the old one.
/// </summary>
internal sealed partial class Swap(PoolOwner pool, OperationLog log, PoolCommand.Swap command, CancellationToken stop)
{
    // The planner saw it idle. Longer than a request on its way takes to be counted, much shorter than one takes to run.
    private static readonly TimeSpan s_quietWithin = TimeSpan.FromSeconds(1);

    private readonly EngineChange _engines = new(pool, log, stop);

    public async Task<OperationEnd> RunAsync()
    {
        var state = pool.State;
        var at = state.Members.IndexOf(state.Members.FirstOrDefault(m => m.Id.ReplicaName == command.ReplicaName)!);
        if (at < 0)
        {
            return OperationEnd.Failed($"pool '{state.Plan.Id}' has no replica '{command.ReplicaName}' here (it has {state.Members.Length}, from r0)");
        }

        if (!state.Plan.ModelIds.Contains(command.Model))
        {
            return OperationEnd.Failed($"model '{command.Model}' is none of pool '{state.Plan.Id}' ({string.Join(", ", state.Plan.ModelIds)})");
        }

        var member = state.Members[at];
        if (member.Engine.Model == command.Model && !member.Engine.AtRest)
        {
            return await UpAsync(at, member).ConfigureAwait(false);
        }

        if (member.Engine.Model != command.Model && ModelChange.Refusal(state.Plan) is { } refusal)
        {
            return OperationEnd.Failed(refusal);
        }

        var plan = state.Loading(command.Model);
        PreparedEngine? prepared = null;
        try
        {
            prepared = await pool.Effects.PrepareAsync(plan, log, stop).ConfigureAwait(false);
        }
        catch (ProvisionException e) when (e.Exit == ProvisionExit.DoesNotFit)
        {
            // The one it replaces still takes its room; the start judges again.
        }

        return await ChangeAsync(at, member, plan, prepared).ConfigureAwait(false);
    }

    private async Task<OperationEnd> UpAsync(int at, Member member)
    {
        var outcome = await _engines.StartAsync(at, member.Engine.Key, warm: false).ConfigureAwait(false);
        return outcome.Trouble is { } trouble ? OperationEnd.Failed(trouble) : OperationEnd.Succeeded;
    }

    private async Task<OperationEnd> ChangeAsync(int at, Member member, PoolPlan plan, PreparedEngine? prepared)
    {
        var key = _engines.Lower(at, plan, prepared);
        if (member.Engine.ServingUrl is { } url && !await _engines.QuietAsync(member.Id, url, s_quietWithin).ConfigureAwait(false))
        {
            await _engines.RaiseAsync(at).ConfigureAwait(false);
            return OperationEnd.Failed($"replica {member.Id.ReplicaName} of pool '{plan.Id}' has work in flight; a model in use is never swapped out");
        }

        var outcome = await _engines.ReplaceAsync(at, key, warm: false).ConfigureAwait(false);
        if (outcome.Trouble is not { } trouble)
        {
            await pool.RetireAsync(member.Engine.Key).ConfigureAwait(false);
            return OperationEnd.Succeeded;
        }

        var reason = $"model '{command.Model}' does not serve: {trouble}";
        if (await _engines.RestoreAsync(at, member.Engine).ConfigureAwait(false) is not { } lost)
        {
            return member.Engine.AtRest ? OperationEnd.Failed(reason) : OperationEnd.RolledBack($"{reason}; model '{member.Engine.Model}' is back");
        }

        LogLost(pool.Logger, member.Id, reason, lost);
        return OperationEnd.Failed($"{reason}; and the old model '{member.Engine.Model}' does not come back either: {lost}");
    }

    [LoggerMessage(EventId = 337, Level = LogLevel.Critical, Message = "{Replica} has lost both models: {Reason}; the old one does not come back either: {Trouble}")]
    private static partial void LogLost(ILogger logger, ReplicaId replica, string reason, string trouble);
}
