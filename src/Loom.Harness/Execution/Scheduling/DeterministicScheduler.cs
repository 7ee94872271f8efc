namespace Loom.Harness.Execution.Scheduling;

/// <summary>
/// Runs a system one thing at a time on one thread, in an order that follows from a seed, by a clock that stands still while anything can be done and then moves straight to
/// the next timer. While a component waits for something outside (a disk, a child, a socket) nothing else runs, so the outcome does not depend on how fast that is. For tests
/// of systems and for <c>--step</c>.
/// </summary>
/// <param name="seed">Of the order of components that are ready at once.</param>
/// <param name="start">What the clock shows at first.</param>
#pragma warning disable CA1001 // An event whose wait handle nobody asks for holds nothing to give back.
internal sealed class DeterministicScheduler(int seed, DateTimeOffset start)
#pragma warning restore CA1001
{
    private readonly Random _order = new(seed);
    private readonly List<Lane> _lanes = [];
    private readonly ManualResetEventSlim _changed = new();
    private volatile bool _ended;

    /// <summary>The clock of everything that runs here.</summary>
    public VirtualTime Time { get; } = new(start);

    /// <summary>Called before a component handles an event, on the scheduler's thread: nothing moves until it returns. Null: nobody looks.</summary>
    public Action<Turn>? Step { get; set; }

    /// <summary>Real time to wait before the clock is moved, for sources that look at the world again and again; none by default.</summary>
    public TimeSpan Pace { get; init; }

    /// <summary>Names of the components that wait for something outside.</summary>
    public IReadOnlyList<string> Busy
    {
        get
        {
            lock (Time.Guard)
            {
                return [.. _lanes.Where(l => l.IsBusy).Select(l => l.Name)];
            }
        }
    }

    /// <summary>A place for one component to run in.</summary>
    public Lane NewLane(string name)
    {
        var lane = new Lane(this, name);
        lock (Time.Guard)
        {
            _lanes.Add(lane);
        }

        return lane;
    }

    /// <summary>Runs the whole, on a thread of its own; the task ends with it.</summary>
    public Task<T> RunAsync<T>(Func<Task<T>> main)
    {
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var lane = NewLane("run");
        var thread = new Thread(() => Pump(lane.RunAsync(main), done)) { IsBackground = true, Name = "deterministic" };
        thread.Start();
        return done.Task;
    }

    /// <summary>Gives up on what waits for something outside and does not come back: nothing is run any more.</summary>
    public void Abandon()
    {
        _ended = true;
        _changed.Set();
    }

    /// <summary>Looks again at what can be run.</summary>
    internal void Changed() => _changed.Set();

    private void Pump<T>(Task<T> running, TaskCompletionSource<T> done)
    {
        while (!_ended && !running.IsCompleted)
        {
            _changed.Reset();
            if (Next() is { } next)
            {
                next();
            }
            else if (!running.IsCompleted)
            {
                _changed.Wait();
            }
        }

        if (running.IsCompleted)
        {
            done.SetFromTask(running);
        }
        else
        {
            done.TrySetCanceled();
        }
    }

    // Chosen only while nobody is outside: then the set of those who are ready is the same in every run.
    private Action? Next()
    {
        VirtualTimer? timer;
        lock (Time.Guard)
        {
            if (_lanes.Exists(l => l.IsBusy))
            {
                return null;
            }

            if (_lanes.Find(l => l.IsUnfinished) is { } unfinished)
            {
                return unfinished.Take();
            }

            var ready = _lanes.FindAll(l => l.IsReady);
            if (ready.Count > 0)
            {
                return ready[ready.Count == 1 ? 0 : _order.Next(ready.Count)].Take();
            }

            timer = Time.Soonest;
        }

        return timer is null ? null : () => Fire(timer);
    }

    private void Fire(VirtualTimer timer)
    {
        if (Pace > TimeSpan.Zero && timer.Due > Time.Ticks && _changed.Wait(Pace))
        {
            return;
        }

        SynchronizationContext.SetSynchronizationContext(null);
        Time.Fire(timer);
    }
}

/// <summary>A component is about to handle an event, or a source to send one.</summary>
/// <param name="Component">Its name.</param>
/// <param name="Port">The port it goes by.</param>
/// <param name="Id">The event, or the first of a batch.</param>
/// <param name="Data">Its payload.</param>
/// <param name="Count">Events of the batch; 1 otherwise.</param>
internal sealed record Turn(string Component, string Port, Loom.Components.EventId Id, object? Data, int Count);
