using Loom.Node.Engines;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>
/// Traffic as the engine itself tells it, for a node whose requests nobody counts: quiet when no slot works. An engine that does not say is taken to be
/// quiet. It can cut nothing: the engine is stopped, which ends what runs on it.
/// </summary>
public sealed class EngineTraffic(EngineClient client, TimeProvider time) : IReplicaTraffic
{
    private static readonly TimeSpan s_every = TimeSpan.FromMilliseconds(100);

    public async Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline)
    {
        try
        {
            // Twice in a row: a request that was on its way when the pool closed has reached the engine by then.
            for (var quiet = 0; quiet < 2;)
            {
                var activity = await client.ActivityAsync(new Uri(url), deadline).ConfigureAwait(false);
                quiet = activity is { Busy: > 0 } ? 0 : quiet + 1;
                await Task.Delay(s_every, time, deadline).ConfigureAwait(false);
            }

            return true;
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return false;
        }
    }

    public void Cut(ReplicaId replica, string url)
    {
    }
}
