using System.Threading.Tasks.Sources;
using Loom.Harness.Execution.Scheduling;

namespace Loom.Harness.Streams;

/// <summary>
/// How one waiting task is woken by several others: armed, then everything it waits for is looked at again, then awaited. Nothing is remembered: a
/// signal set while it is not armed is lost, which is why the look comes after arming. Reused without allocation.
/// </summary>
/// <remarks>Whoever changes what the task waits for publishes the change, puts a full fence, and sets the signal when it is armed.</remarks>
/// <param name="lane">Under the deterministic scheduler: who waits here; else null.</param>
internal sealed class Signal(Lane? lane = null) : IValueTaskSource
{
    private const int Idle = 0;
    private const int Armed = 1;
    private const int Fired = 2;

    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = lane is null };
    private int _state;
    private int _counted;

    /// <summary>Whether somebody waits or is about to.</summary>
    public bool IsArmed => Volatile.Read(ref _state) == Armed;

    /// <summary>Announces a wait, with a full fence behind it. Look again at what is waited for, then call <see cref="Disarm"/> or await <see cref="WaitAsync"/>.</summary>
    public void Arm()
    {
        _core.Reset();
        Interlocked.Exchange(ref _state, Armed);
    }

    /// <summary>Takes the announcement back; false when the signal has fired meanwhile, and then it must be awaited.</summary>
    public bool Disarm() => Interlocked.CompareExchange(ref _state, Idle, Armed) == Armed;

    public ValueTask WaitAsync() => new(this, _core.Version);

    /// <summary>Wakes the waiting task, if one is armed.</summary>
    public void Set()
    {
        if (Interlocked.CompareExchange(ref _state, Fired, Armed) == Armed)
        {
            EndWait();
            _core.SetResult(true);
        }
    }

    void IValueTaskSource.GetResult(short token)
    {
        Volatile.Write(ref _state, Idle);
        _core.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        if (lane is null)
        {
            _core.OnCompleted(continuation, state, token, flags);
            return;
        }

        BeginWait();
        _core.OnCompleted(_ => lane.GoOn(continuation, state), null, token, ValueTaskSourceOnCompletedFlags.None);
    }

    // Whoever sets the signal ends the wait, not the one who waited: so at no moment both seem to rest.
    private void BeginWait()
    {
        lane!.BeginWait();
        Interlocked.Exchange(ref _counted, 1);
        if (Volatile.Read(ref _state) == Fired)
        {
            EndWait();
        }
    }

    private void EndWait()
    {
        if (lane is not null && Interlocked.Exchange(ref _counted, 0) == 1)
        {
            lane.EndWait();
        }
    }
}
