using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>Provisions and starts what does not run, with the pool's first model or the one that was named; what runs is left alone.</summary>
internal sealed class Preload(PoolOwner pool, OperationLog log, PoolCommand.Preload command, CancellationToken stop)
{
    private readonly EngineChange _engines = new(pool, log, stop);

    public async Task<OperationEnd> RunAsync()
    {
        var state = pool.State;
        var plan = command.ModelRef is { } model ? state.Loading(model) : state.Plan;
        var resting = Enumerable.Range(0, state.Members.Length).Where(i => state.Members[i].Engine.AtRest).ToList();
        if (resting.Count == 0 && command.ModelRef is not null && state.Members.All(m => m.Engine.Model != plan.ModelIds[0]))
        {
            return OperationEnd.Failed(
                $"every replica of pool '{plan.Id}' runs, with model '{state.Members[0].Engine.Model}'; to load '{plan.ModelIds[0]}' in its place, reload the pool");
        }

        if (command.ModelRef is not null && plan.Models[0] != state.Plan.Models[0] && ModelChange.Refusal(state.Plan) is { } refusal)
        {
            return OperationEnd.Failed(refusal);
        }

        if (resting.Count > 0)
        {
            await pool.Effects.PrepareAsync(plan, log, stop).ConfigureAwait(false);
        }

        // One replica in trouble keeps no other from starting; those that run already are waited for when the whole pool was asked for.
        List<string> troubles = [];
        foreach (var at in command.ModelRef is null ? Enumerable.Range(0, state.Members.Length) : resting)
        {
            if (await UpAsync(at, resting.Contains(at) ? plan : null).ConfigureAwait(false) is { } trouble)
            {
                troubles.Add($"{state.Members[at].Id.ReplicaName}: {trouble}");
            }
        }

        return troubles.Count == 0 ? OperationEnd.Succeeded : OperationEnd.Failed(string.Join("; ", troubles));
    }

    private async Task<string?> UpAsync(int at, PoolPlan? plan)
    {
        var member = pool.State.Members[at];
        if (plan is not null && member.Engine.Plan != plan)
        {
            // Its engine was made for another model: a new one takes its place before it starts, so that all the world sees is a replica coming up.
            pool.Join(at, plan, null);
            pool.Tell(new PoolEvent.Switched([at]));
            await pool.RetireAsync(member.Engine.Key).ConfigureAwait(false);
        }

        return (await _engines.StartAsync(at, pool.State.Members[at].Engine.Key, warm: plan is not null).ConfigureAwait(false)).Trouble;
    }
}
