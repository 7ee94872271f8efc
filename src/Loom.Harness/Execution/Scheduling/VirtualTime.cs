namespace Loom.Harness.Execution.Scheduling;

/// <summary>A clock that stands still until the scheduler moves it to the next timer.</summary>
/// <param name="start">What it shows at first.</param>
internal sealed class VirtualTime(DateTimeOffset start) : TimeProvider
{
    // Timestamps do not begin at 0, which stands for "never" in places.
    private const long Before = TimeSpan.TicksPerSecond;

    private readonly SortedSet<VirtualTimer> _armed = [];
    private long _ticks;
    private long _sequence;

    /// <summary>Guards the timers and what the lanes count, which are judged together.</summary>
    public Lock Guard { get; } = new();

    /// <summary>Ticks since the start.</summary>
    public long Ticks => Volatile.Read(ref _ticks);

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <summary>The timer that is due first; of several, the one that was set first. Under the guard.</summary>
    public VirtualTimer? Soonest => _armed.Min;

    public override long GetTimestamp() => Ticks + Before;

    public override DateTimeOffset GetUtcNow() => start.ToUniversalTime() + TimeSpan.FromTicks(Ticks);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new VirtualTimer(this, callback, state, Lane.Current);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves the clock to a timer and runs what it stands for.</summary>
    public void Fire(VirtualTimer timer)
    {
        lock (Guard)
        {
            if (!_armed.Remove(timer))
            {
                return;
            }

            Volatile.Write(ref _ticks, Math.Max(_ticks, timer.Due));
            timer.Fired();
            if (timer.Period > 0)
            {
                Arm(timer, timer.Period);
            }
        }

        timer.Run();
    }

    /// <summary>Under the guard.</summary>
    internal void Arm(VirtualTimer timer, long inTicks)
    {
        timer.Due = _ticks + inTicks;
        timer.Sequence = ++_sequence;
        _armed.Add(timer);
    }

    /// <summary>Under the guard.</summary>
    internal bool Disarm(VirtualTimer timer) => _armed.Remove(timer);
}

/// <summary>A timer of virtual time. One that a <c>Task.Delay</c> made is what its component waits for; any other (a deadline, a tick, a <see cref="PeriodicTimer"/>, which does not tell when it is waited for) is not.</summary>
internal sealed class VirtualTimer(VirtualTime time, TimerCallback callback, object? state, Lane? lane) : ITimer, IComparable<VirtualTimer>
{
    private readonly ExecutionContext? _context = ExecutionContext.Capture();

    // Task.Delay hands over a plain task; Task.WaitAsync, a deadline, a promise of a result.
    private readonly Lane? _sleeper = state is Task && !state.GetType().IsGenericType ? lane : null;
    private bool _counted;

    /// <summary>When, in ticks of the clock.</summary>
    public long Due { get; set; }

    /// <summary>Order of timers due at the same time.</summary>
    public long Sequence { get; set; }

    /// <summary>Ticks from one to the next; 0: once.</summary>
    public long Period { get; private set; }

    public bool Change(TimeSpan dueTime, TimeSpan period)
    {
        lock (time.Guard)
        {
            time.Disarm(this);
            Count(dueTime >= TimeSpan.Zero);
            Period = Math.Max(0, period.Ticks);
            if (dueTime >= TimeSpan.Zero)
            {
                time.Arm(this, dueTime.Ticks);
            }
        }

        lane?.Changed();
        return true;
    }

    public void Dispose() => Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    public ValueTask DisposeAsync()
    {
        Dispose();
        return default;
    }

    public int CompareTo(VirtualTimer? other) => other is null ? 1 : Due != other.Due ? Due.CompareTo(other.Due) : Sequence.CompareTo(other.Sequence);

    /// <summary>It is due: whoever slept goes on. Under the guard.</summary>
    internal void Fired() => Count(false);

    internal void Run()
    {
        if (_context is null)
        {
            callback(state);
        }
        else
        {
            ExecutionContext.Run(_context, static t => ((VirtualTimer)t!).Call(), this);
        }
    }

    private void Call() => callback(state);

    private void Count(bool sleeping)
    {
        if (_counted != sleeping && _sleeper is not null)
        {
            _counted = sleeping;
            _sleeper.CountWait(sleeping ? 1 : -1);
        }
    }
}
