using Loom.Core.Gpus;
using Loom.Node.Plans;
using Loom.Node.Pools;
using Loom.Node.Provisioning;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Handoff;

/// <summary>
/// One replica runs what a handoff document describes. A replica that runs it already is left alone; one that runs something else is emptied, stopped and
/// started anew, and gets its old engine back when the new one does not come up.
/// </summary>
/// <param name="pool">The pool.</param>
/// <param name="log">Told of each step.</param>
/// <param name="document">What is to run; judged good.</param>
/// <param name="gpus">The GPUs.</param>
/// <param name="within">Time running requests have.</param>
/// <param name="stop">The node stops.</param>
internal sealed partial class TakeOver(PoolOwner pool, OperationLog log, HandoffDocument document, GpuSnapshot gpus, TimeSpan within, CancellationToken stop)
{
    /// <summary>Word of the operation.</summary>
    public const string Word = "handoff";

    private readonly EngineChange _engines = new(pool, log, stop);

    public async Task<OperationEnd> RunAsync()
    {
        var state = pool.State;
        var at = state.Members.IndexOf(state.Members.FirstOrDefault(m => m.Id.ReplicaName == document.ReplicaId)!);
        if (at < 0)
        {
            return OperationEnd.Failed($"pool '{state.Plan.Id}' has no replica '{document.ReplicaId}' here");
        }

        var member = state.Members[at];
        var plan = HandoffPlan.Of(state.Plan, document, gpus);
        if (HandoffPlan.Same(member.Engine.Plan, plan))
        {
            return await UpAsync(at, member.Engine.Key).ConfigureAwait(false);
        }

        try
        {
            await pool.Effects.PrepareAsync(plan, log, stop).ConfigureAwait(false);
        }
        catch (ProvisionException e) when (e.Exit == ProvisionExit.DoesNotFit && !member.Engine.AtRest)
        {
            // What it replaces still takes its room; the start judges again.
        }

        return member.Engine.AtRest ? await FreshAsync(at, member, plan).ConfigureAwait(false) : await ReplaceAsync(at, member, plan).ConfigureAwait(false);
    }

    private async Task<OperationEnd> UpAsync(int at, int key)
    {
        var outcome = await _engines.StartAsync(at, key, warm: true).ConfigureAwait(false);
        return outcome.Trouble is { } trouble ? OperationEnd.Failed(trouble) : OperationEnd.Succeeded;
    }

    private async Task<OperationEnd> FreshAsync(int at, Member member, PoolPlan plan)
    {
        var key = pool.Join(at, plan, null);
        pool.Tell(new PoolEvent.Switched([at]));
        await pool.RetireAsync(member.Engine.Key).ConfigureAwait(false);
        return await UpAsync(at, key).ConfigureAwait(false);
    }

    private async Task<OperationEnd> ReplaceAsync(int at, Member member, PoolPlan plan)
    {
        var key = _engines.Lower(at, plan);
        await _engines.EmptyAsync(member, within).ConfigureAwait(false);
        var outcome = await _engines.ReplaceAsync(at, key, warm: true).ConfigureAwait(false);
        if (outcome.Trouble is not { } trouble)
        {
            await pool.RetireAsync(member.Engine.Key).ConfigureAwait(false);
            return OperationEnd.Succeeded;
        }

        var reason = $"the engine handed over does not serve: {trouble}";
        if (await _engines.RestoreAsync(at, member.Engine).ConfigureAwait(false) is not { } lost)
        {
            return OperationEnd.RolledBack($"{reason}; what ran before is back");
        }

        LogLost(pool.Logger, member.Id, reason, lost);
        return OperationEnd.Failed($"{reason}; and what ran before does not come back either: {lost}");
    }

    [LoggerMessage(EventId = 355, Level = LogLevel.Critical, Message = "{Replica}: {Reason}; what ran before does not come back either: {Trouble}")]
    private static partial void LogLost(ILogger logger, ReplicaId replica, string reason, string trouble);
}
