namespace Loom.Node.Pools;

/// <summary>No new work; what runs may finish until the deadline, then it is cut. The engines run on: undrain opens the pool again at once.</summary>
internal sealed class Drain(PoolOwner pool, OperationLog log, TimeSpan within, CancellationToken stop)
{
    public async Task<OperationEnd> RunAsync()
    {
        pool.Tell(new PoolEvent.DrainSet(Drained: true));
        var engines = new EngineChange(pool, log, stop);
        await Task.WhenAll(pool.State.Members.Select(m => engines.EmptyAsync(m, within))).ConfigureAwait(false);
        return OperationEnd.Succeeded;
    }
}
