using Loom.Harness.Architecture;

namespace Loom.Harness.Streams;

/// <summary>How long a stream's writer was blocked and its reader starved, and when it last moved. Each side tells of itself; looked at from anywhere.</summary>
internal sealed class StreamClock(TimeProvider time)
{
    private long _blockedSince;
    private long _blockedTicks;
    private long _starvedSince;
    private long _starvedTicks;
    private long _progressAt = time.GetTimestamp();

    /// <summary>The writer waits until what is returned is disposed.</summary>
    public Blocked Block()
    {
        Volatile.Write(ref _blockedSince, time.GetTimestamp());
        return new Blocked(this);
    }

    /// <summary>The reader begins to wait.</summary>
    public void Starve() => Volatile.Write(ref _starvedSince, time.GetTimestamp());

    /// <summary>The reader goes on.</summary>
    public void Fed()
    {
        var since = _starvedSince;
        if (since != 0)
        {
            Interlocked.Add(ref _starvedTicks, time.GetTimestamp() - since);
            Volatile.Write(ref _starvedSince, 0);
        }
    }

    /// <summary>An event was read.</summary>
    public void Progress() => Volatile.Write(ref _progressAt, time.GetTimestamp());

    /// <summary>The times, with counts still to be filled in.</summary>
    /// <param name="plan">The stream's binding.</param>
    /// <param name="oldestAt">When the oldest event entered; null when there is none.</param>
    public StreamSnapshot Snapshot(BindingPlan plan, long? oldestAt)
    {
        var now = time.GetTimestamp();
        return new StreamSnapshot(
            plan.Name,
            $"{plan.FromComponent}.{plan.FromPort}",
            $"{plan.ToComponent}.{plan.ToPort}",
            0,
            0,
            0,
            0,
            0,
            0,
            oldestAt is { } at ? time.GetElapsedTime(at, now) : TimeSpan.Zero,
            time.GetElapsedTime(Volatile.Read(ref _progressAt), now),
            Span(Interlocked.Read(ref _blockedTicks), Volatile.Read(ref _blockedSince), now),
            Span(Interlocked.Read(ref _starvedTicks), Volatile.Read(ref _starvedSince), now),
            Ended: false);
    }

    private TimeSpan Span(long ticks, long since, long now) => time.GetElapsedTime(0, ticks + (since == 0 ? 0 : Math.Max(0, now - since)));

    /// <summary>A wait of the writer.</summary>
    public readonly struct Blocked(StreamClock clock) : IDisposable
    {
        public void Dispose() => clock.Unblock();
    }

    private void Unblock()
    {
        Interlocked.Add(ref _blockedTicks, time.GetTimestamp() - _blockedSince);
        Volatile.Write(ref _blockedSince, 0);
    }
}
