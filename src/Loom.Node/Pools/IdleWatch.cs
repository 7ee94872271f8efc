using Loom.Core.Loops;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Pools;

/// <summary>
/// Unloads replicas nobody has used for <c>idle_ttl_secs</c>. Who forwards the requests knows that best (<see cref="IReplicaTraffic.IdleFor"/>); where he
/// does not say, the engine's own counters are watched. A replica is idle at the earliest since it became ready.
/// </summary>
internal static class IdleWatch
{
    /// <summary>Begins to watch a pool; null when its replicas stay for ever.</summary>
    public static BackgroundLoop? Start(PoolOwner pool, ILogger logger) => pool.State.Plan.IdleTtl <= TimeSpan.Zero
        ? null
        : BackgroundLoop.Start($"idle watch of pool {pool.State.Plan.Id}", stop => WatchAsync(pool, stop), logger);

    /// <summary>How long to wait between two looks: a tenth of the time, from a quarter of a second to five seconds.</summary>
    internal static TimeSpan Every(TimeSpan ttl) => TimeSpan.FromMilliseconds(Math.Clamp(ttl.TotalMilliseconds / 10, 250, 5000));

    private static async Task WatchAsync(PoolOwner pool, CancellationToken stop)
    {
        while (true)
        {
            var ttl = pool.State.Plan.IdleTtl;
            await Task.Delay(Every(ttl), pool.Time, stop).ConfigureAwait(false);
            for (var at = 0; at < pool.State.Members.Length; at++)
            {
                if (await IdleForAsync(pool, pool.State, at, stop).ConfigureAwait(false) is { } idle && idle >= ttl)
                {
                    await UnloadAsync(pool, at, stop).ConfigureAwait(false);
                }
            }
        }
    }

    private static async Task<TimeSpan?> IdleForAsync(PoolOwner pool, PoolState state, int at, CancellationToken stop)
    {
        if (state is not { Operation: null, Drained: false } || state.Members[at] is not { Mode: MemberMode.Serving, ReadySinceMs: { } since, Engine.ServingUrl: { } url } member)
        {
            return null;
        }

        if (await pool.Effects.IdleForAsync(member.Id, url, stop).ConfigureAwait(false) is not { } idle)
        {
            return null; // nobody knows, so it may be in use
        }

        var ready = TimeSpan.FromMilliseconds(pool.Time.GetUtcNow().ToUnixTimeMilliseconds() - since);
        return idle < ready ? idle : ready;
    }

    private static async Task UnloadAsync(PoolOwner pool, int at, CancellationToken stop)
    {
        try
        {
            await pool.RunAsync(IdleUnload.Word, _ => { }, (log, cancel) => new IdleUnload(pool, log, at, cancel).RunAsync(), stop).ConfigureAwait(false);
        }
        catch (OperationConflictException)
        {
            // Somebody does something with the pool right now; the next look decides anew.
        }
    }
}
