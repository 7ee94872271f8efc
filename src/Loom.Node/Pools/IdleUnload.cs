using Loom.Node.Plans;

namespace Loom.Node.Pools;

/// <summary>Stops one replica that nobody has used for the pool's <c>idle_ttl_secs</c>. It starts again on demand.</summary>
internal sealed class IdleUnload(PoolOwner pool, OperationLog log, int member, CancellationToken stop)
{
    /// <summary>Name of the operation; no command is called so.</summary>
    public const string Word = "unload";

    private static readonly TimeSpan s_quietWithin = TimeSpan.FromSeconds(1);

    public async Task<OperationEnd> RunAsync()
    {
        var before = pool.State.Members[member];
        if (before is not { Mode: MemberMode.Serving, Engine.ServingUrl: { } url })
        {
            return OperationEnd.Failed("it does not serve any more");
        }

        var engines = new EngineChange(pool, log, stop);
        pool.Tell(new PoolEvent.ModeSet(member, MemberMode.Closing));
        try
        {
            if (!await engines.QuietAsync(before.Id, url, s_quietWithin).ConfigureAwait(false))
            {
                return OperationEnd.Failed("a request came meanwhile");
            }

            pool.Tell(new PoolEvent.Rested(member, Why(pool.State.Plan)));
            await engines.HaltAsync(before.Engine).ConfigureAwait(false);
            return OperationEnd.Succeeded;
        }
        finally
        {
            pool.Tell(new PoolEvent.ModeSet(member, MemberMode.Serving));
        }
    }

    private static string Why(PoolPlan plan) => string.Create(System.Globalization.CultureInfo.InvariantCulture,
        $"unloaded: no request for {plan.IdleTtl.TotalSeconds:0} s (idle_ttl_secs); starts on demand");
}
