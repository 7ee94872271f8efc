namespace Loom.Harness.Execution.Scheduling;

/// <summary>What goes on beside the components, in a lane of its own; disposal ends it.</summary>
internal sealed class LaneLoop : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    public LaneLoop(Lane lane, Func<CancellationToken, Task> run) => _running = lane.RunAsync(() => run(_stop.Token));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(true);
        try
        {
            await Lane.WaitAsync(_running).ConfigureAwait(true);
        }
        catch (OperationCanceledException)
        {
            // As asked.
        }

        _stop.Dispose();
    }
}
