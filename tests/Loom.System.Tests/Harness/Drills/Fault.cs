namespace Loom.SystemTests.Harness.Drills;

/// <summary>Where in a component's life something goes wrong.</summary>
internal enum FaultPoint
{
    Constructor,
    Setup,
    Restore,
    First,
    Middle,
    Last,
    Batch,
    Snapshot,
    Flush,
    Cleanup,
}

/// <summary>One fault that strikes once: it throws, or it hangs and listens to nobody until the test is over.</summary>
internal sealed class Fault(FaultPoint point, int position, bool hangs) : IDisposable
{
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _struck;

    public FaultPoint Point => point;

    public int Position => position;

    public bool Hangs => hangs;

    public bool HasStruck => Volatile.Read(ref _struck) > 0;

    /// <summary>Called wherever it might strike.</summary>
    public Task StrikeAsync(FaultPoint at, int of)
    {
        if (at != point || of != position || Interlocked.Exchange(ref _struck, 1) != 0)
        {
            return Task.CompletedTask;
        }

        return hangs ? _over.Task : throw new InvalidOperationException($"fault at {point} of {position}");
    }

    /// <summary>The same in a constructor, which can only hang with its thread.</summary>
    public void Strike(FaultPoint at, int of) => StrikeAsync(at, of).GetAwaiter().GetResult();

    public void Dispose() => _over.TrySetResult();

    public override string ToString() => $"{(hangs ? "hang" : "throw")} at {point} of component {position}";
}
