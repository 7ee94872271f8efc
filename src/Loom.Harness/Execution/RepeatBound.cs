namespace Loom.Harness.Execution;

/// <summary>
/// Holds what a crash can repeat to <c>checkpoint_interval_items</c>: a checkpoint begins when half of them have been sent, and sources wait once all of them have
/// been sent since the newest checkpoint that is stored. A checkpoint that had to be given up lets them go on: then nothing is bounded, and health says so.
/// </summary>
/// <param name="items">Events of all sources; null: no bound.</param>
internal sealed class RepeatBound(long? items)
{
    private readonly long _begin = Math.Max(1, (items ?? 0) / 2);
    private long _sinceBarrier;
    private long _sinceSettled;

    /// <summary>Whether there is a bound.</summary>
    public bool IsSet => items is not null;

    /// <summary>Whether a source must wait before it sends another event.</summary>
    public bool MustHold => items is { } most && Volatile.Read(ref _sinceSettled) >= most;

    /// <summary>Counts an event; true when it is time for a checkpoint.</summary>
    public bool Count()
    {
        if (items is null)
        {
            return false;
        }

        Interlocked.Increment(ref _sinceSettled);
        return Interlocked.Increment(ref _sinceBarrier) == _begin;
    }

    /// <summary>A checkpoint begins: what is sent from now on is not in it.</summary>
    public void Began() => Interlocked.Exchange(ref _sinceBarrier, 0);

    /// <summary>The checkpoint is stored, or given up.</summary>
    public void Settled() => Interlocked.Exchange(ref _sinceSettled, Interlocked.Read(ref _sinceBarrier));
}
