namespace Loom.Harness.Execution;

/// <summary>Where a component stands in its life.</summary>
internal enum ComponentState
{
    Created,
    Initialized,
    Running,

    /// <summary>Waits for a person: a setting is wrong, or it was asked to pause.</summary>
    Paused,

    /// <summary>Failed and about to be set up again.</summary>
    Restarting,
    Stopping,
    Stopped,
    Failed,
}

/// <summary>What has become of the events a component took, counted by its loop and read from anywhere: taken = done + failed + lost + in hand.</summary>
internal sealed class ComponentCounters
{
    private long _taken;
    private long _done;
    private long _filtered;
    private long _failed;
    private long _emitted;

    /// <summary>Whether nothing is expected to come of an event: a sink. Its events are not filtered but delivered.</summary>
    public bool IsEnd { get; init; }

    /// <summary>Events read from its inputs, or brought in by a source.</summary>
    public long Taken => Volatile.Read(ref _taken);

    /// <summary>Events handled to the end.</summary>
    public long Done => Volatile.Read(ref _done);

    /// <summary>Those of them from which nothing came.</summary>
    public long Filtered => Volatile.Read(ref _filtered);

    /// <summary>Events that went to the error destination.</summary>
    public long Failed => Volatile.Read(ref _failed);

    /// <summary>Events that were in hand when the component failed and was set up anew, and do not come again.</summary>
    public long Lost { get; private set; }

    /// <summary>Events sent on.</summary>
    public long Emitted => Volatile.Read(ref _emitted);

    // One writer: the component's loop.
    public void CountTaken(long by = 1) => _taken += by;

    public void CountDone(int emitted)
    {
        _done++;
        _emitted += emitted;
        if (emitted == 0 && !IsEnd)
        {
            _filtered++;
        }
    }

    /// <summary>Several events, each of which gave one.</summary>
    public void CountDone(long events, long emitted)
    {
        _done += events;
        _emitted += emitted;
    }

    public void CountFailed() => _failed++;

    /// <summary>Events that were taken were given back, to be taken again.</summary>
    public void CountReturned(long by) => _taken -= by;

    /// <summary>The loop has ended in the middle of its work: what it had in hand and did not give back is gone.</summary>
    public void CountLost() => Lost = Math.Max(Lost, _taken - _done - _failed);

    public void CountEmitted(int by) => _emitted += by;
}
