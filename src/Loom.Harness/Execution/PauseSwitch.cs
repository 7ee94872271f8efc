using Loom.Harness.Execution.Scheduling;

namespace Loom.Harness.Execution;

/// <summary>Holds a component at an item boundary until somebody lets it go on; says why.</summary>
/// <param name="lane">Where the component runs under the deterministic scheduler; null: on the pool.</param>
internal sealed class PauseSwitch(Lane? lane = null)
{
    private readonly Lock _lock = new();
    private TaskCompletionSource? _gate;

    /// <summary>Why it is held, or null.</summary>
    public string? Reason { get; private set; }

    /// <summary>How often it was let go on.</summary>
    public long Releases { get; private set; }

    /// <summary>Holds; a second reason does not replace the first.</summary>
    public void Hold(string reason)
    {
        lock (_lock)
        {
            Reason ??= reason;
            _gate ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    /// <summary>Lets it go on; false when it was not held.</summary>
    public bool Release()
    {
        lock (_lock)
        {
            var held = _gate;
            Reason = null;
            _gate = null;
            Releases += held is null ? 0 : 1;
            return held?.TrySetResult() ?? false;
        }
    }

    /// <summary>Waits while it is held.</summary>
    public Task WaitAsync(CancellationToken ct)
    {
        lock (_lock)
        {
            return _gate is null ? Task.CompletedTask : lane is null ? _gate.Task.WaitAsync(ct) : WaitAsync(_gate.Task, ct);
        }
    }

    private async Task WaitAsync(Task gate, CancellationToken ct)
    {
        lane!.BeginWait();
        try
        {
            await gate.WaitAsync(ct).ConfigureAwait(true);
        }
        finally
        {
            lane.EndWait();
        }
    }
}
