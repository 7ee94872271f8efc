using System.Runtime.CompilerServices;

namespace Loom.Harness.Execution.Scheduling;

/// <summary>
/// Where one component runs under the deterministic scheduler: what its loop awaits within its context goes on here. It also counts what the component is doing, so that the scheduler
/// knows one that waits for the system (a stream, a timer, another component) from one that waits for something outside.
/// </summary>
internal sealed class Lane(DeterministicScheduler scheduler, string name) : SynchronizationContext
{
    private static readonly AsyncLocal<Lane?> s_current = new();

    // What goes on where it was, and what had its turn to give: only the latter is a place where others may come in between.
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _unfinished = [];
    private readonly Queue<(SendOrPostCallback Callback, object? State)> _ready = [];
    private int _flows;
    private int _waits;
    private bool _mayRead;

    /// <summary>The component that what runs now was begun by, wherever it has got to; null outside of any.</summary>
    public new static Lane? Current => s_current.Value;

    public string Name => name;

    /// <summary>Whether it can go on and waits for its turn; under the guard.</summary>
    public bool IsReady => _ready.Count > 0;

    /// <summary>
    /// Whether it is back from a wait outside. It goes on before anyone else has a turn: whether that wait was over at once or took its time makes no difference then. Under the guard.
    /// </summary>
    public bool IsUnfinished => _unfinished.Count > 0;

    /// <summary>Whether it waits for something outside; under the guard.</summary>
    public bool IsBusy => _flows > _waits + _ready.Count + _unfinished.Count;

    /// <summary>Runs a piece of the component's life here; in another lane it is awaited by <see cref="WaitAsync"/>.</summary>
    public async Task<T> RunAsync<T>(Func<Task<T>> work)
    {
        BeginFlow();
        try
        {
            await new Entry(this);
            s_current.Value = this;
            return await work().ConfigureAwait(true);
        }
        finally
        {
            EndFlow();
        }
    }

    /// <summary>Waits for something other lanes do; the same as awaiting it where there are no lanes.</summary>
    public static Task WaitAsync(Task others) => Current is { } lane && !others.IsCompleted ? lane.WaitHereAsync(others) : others;

    /// <summary>The same for work without a result.</summary>
    public Task RunAsync(Func<Task> work) => RunAsync(async () =>
    {
        await work().ConfigureAwait(true);
        return true;
    });

    /// <summary>Lets others have their turn, then shows what is done next to whoever steps.</summary>
    public async ValueTask TurnAsync(Func<Turn> turn)
    {
        await new Entry(this);
        scheduler.Step?.Invoke(turn());
    }

    /// <summary>For a class with a loop of its own: lets others have their turn, after which one event may be read.</summary>
    public async ValueTask AllowReadAsync()
    {
        await new Entry(this);
        _mayRead = true;
    }

    /// <summary>Whether an event may be read now; each permit is for one.</summary>
    public bool MayRead => _mayRead;

    /// <summary>An event was read.</summary>
    public void Read(Func<Turn> turn)
    {
        _mayRead = false;
        scheduler.Step?.Invoke(turn());
    }

    /// <summary>Another thing the component does at the same time, such as a pending read.</summary>
    public void BeginFlow() => Count(ref _flows, 1);

    public void EndFlow() => Count(ref _flows, -1);

    /// <summary>One of the things it does waits for the system from now on.</summary>
    public void BeginWait() => Count(ref _waits, 1);

    /// <summary>The wait is over; said by whoever ends it, before the waiting one goes on.</summary>
    public void EndWait() => Count(ref _waits, -1);

    public override void Post(SendOrPostCallback d, object? state) => Add(_unfinished, d, state);

    /// <summary>Goes on when it is chosen: what a stream, or its own turn, waits with.</summary>
    public void GoOn(Action<object?> continuation, object? state) => Add(_ready, new SendOrPostCallback(continuation), state);

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("a lane is never waited for");

    public override SynchronizationContext CreateCopy() => this;

    /// <summary>The next piece of work, to be run outside the guard.</summary>
    internal Action Take()
    {
        var (callback, state) = _unfinished.Count > 0 ? _unfinished.Dequeue() : _ready.Dequeue();
        return () =>
        {
            SetSynchronizationContext(this);
            callback(state);
        };
    }

    private async Task WaitHereAsync(Task others)
    {
        BeginWait();
        try
        {
            await others.ConfigureAwait(true);
        }
        finally
        {
            EndWait();
        }
    }

    /// <summary>A timer begins or ends to be what it waits for; under the guard.</summary>
    internal void CountWait(int by) => _waits += by;

    /// <summary>Lets the scheduler look again.</summary>
    internal void Changed() => scheduler.Changed();

    private void Add(Queue<(SendOrPostCallback, object?)> to, SendOrPostCallback callback, object? state)
    {
        lock (scheduler.Time.Guard)
        {
            to.Enqueue((callback, state));
        }

        scheduler.Changed();
    }

    private void Count(ref int what, int by)
    {
        lock (scheduler.Time.Guard)
        {
            what += by;
        }

        scheduler.Changed();
    }

    // Goes on in the lane, behind what is there already.
    private readonly struct Entry(Lane lane) : ICriticalNotifyCompletion
    {
        public bool IsCompleted => false;

        public Entry GetAwaiter() => this;

        public void GetResult()
        {
        }

        public void OnCompleted(Action continuation) => lane.GoOn(static a => ((Action)a!)(), continuation);

        public void UnsafeOnCompleted(Action continuation) => lane.GoOn(static a => ((Action)a!)(), continuation);
    }
}
