using System.Runtime.CompilerServices;
using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Streams;

/// <summary>What the reading side of any stream can be asked, whatever it carries.</summary>
internal interface IStreamHead
{
    bool AtMark { get; }

    /// <summary>Number of the barrier the reader stands at; 0 where it stands at none.</summary>
    long MarkNumber { get; }

    bool IsEnded { get; }

    bool CanRead();

    bool TryTakeMark([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out CheckpointBarrier? barrier);

    bool CanRead(int wanted);

    void BeforeWait(int wanted);

    void AfterWait();
}

/// <summary>The reading side of a stream of a known payload.</summary>
internal interface IStreamHead<T> : IStreamHead
{
    BindingPlan Plan { get; }

    /// <summary>Takes the next event, if there is one before the next barrier.</summary>
    bool TryRead(out Event<T> e);
}

/// <summary>What a component finds when it looks at its inputs.</summary>
internal enum GateState
{
    /// <summary>An event can be read.</summary>
    Ready,

    /// <summary>Nothing yet.</summary>
    Empty,

    /// <summary>Every open input stands at the barrier in <see cref="Gate.Barrier"/>.</summary>
    Barrier,

    /// <summary>Every input has ended.</summary>
    Ended,

    /// <summary>Somebody asked for the loop's attention.</summary>
    Interrupted,
}

/// <summary>
/// All inputs of one component: where its loop waits, where barriers are aligned, and where others ask for its attention. A stream that stands at a
/// barrier is not read until the others stand there too or have ended; feedback streams are not waited for.
/// </summary>
internal sealed class Gate(Signal signal)
{
    private readonly List<Entry> _entries = [];
    private int _interrupted;
    private long _passed;
    private Func<bool>? _isReturned;

    /// <summary>The barrier all inputs have reached; set while the state is <see cref="GateState.Barrier"/>.</summary>
    public CheckpointBarrier? Barrier { get; private set; }

    /// <summary>Whether an input has not reached <see cref="Barrier"/>, because it is held back or never had it: the state is then that of no one moment, and cannot take part.</summary>
    public bool IsPartial { get; private set; }

    public Signal Signal => signal;

    /// <param name="head">The stream.</param>
    /// <param name="closesLoop">Whether it leads back into a loop of bindings: barriers do not wait for it.</param>
    /// <param name="isHeldBack">Whether its port does not read it yet; null: it is never held back.</param>
    public void Add(IStreamHead head, bool closesLoop = false, Func<bool>? isHeldBack = null) => _entries.Add(new Entry(head, closesLoop, isHeldBack));

    /// <summary>Whether nothing is bound.</summary>
    public bool IsUnbound => _entries.Count == 0;

    /// <summary>Events were given back to the ports: they are ready before whatever the streams hold, a barrier or an end too.</summary>
    /// <param name="is">Whether any of them still waits.</param>
    public void Return(Func<bool> @is) => _isReturned = @is;

    /// <summary>Asks for the loop's attention at its next wait or item boundary.</summary>
    public void Interrupt()
    {
        Interlocked.Exchange(ref _interrupted, 1);
        signal.Set();
    }

    /// <summary>Whether somebody asked for attention.</summary>
    public bool HasInterrupt => Volatile.Read(ref _interrupted) != 0;

    /// <summary>Takes a request for attention.</summary>
    public bool TakeInterrupt() => Volatile.Read(ref _interrupted) != 0 && Interlocked.Exchange(ref _interrupted, 0) != 0;

    /// <summary>Looks at all inputs without waiting.</summary>
    /// <param name="wanted">Events that make it worth while; fewer are offered too before a barrier and at the end.</param>
    public GateState Look(int wanted = 1)
    {
        if (HasInterrupt)
        {
            return GateState.Interrupted;
        }

        if (_isReturned is not null)
        {
            if (_isReturned())
            {
                return GateState.Ready;
            }

            _isReturned = null;
        }

        var (open, marked, held, loops) = (0, 0, 0, 0);
        var comesBack = false;
        foreach (var entry in _entries)
        {
            if (entry.IsHeldBack?.Invoke() == true)
            {
                held += entry.Head.IsEnded ? 0 : 1;
                continue;
            }

            // A mark that went round a loop of bindings, or that a held stream kept, has been passed already.
            while (entry.Head.AtMark && entry.Head.MarkNumber <= _passed && entry.Head.TryTakeMark(out _))
            {
            }

            if (wanted == 1 ? entry.Head.CanRead() : entry.Head.CanRead(wanted))
            {
                if (!entry.ClosesLoop)
                {
                    return GateState.Ready;
                }

                comesBack = true;
            }

            if (entry.Head.IsEnded)
            {
                continue;
            }

            if (entry.ClosesLoop)
            {
                loops++;
            }
            else
            {
                open++;
                marked += entry.Head.AtMark ? 1 : 0;
            }
        }

        if (open > 0 && marked == open)
        {
            // Before what comes back by a loop, which may never be without an event: that is recorded.
            TakeBarrier(held > 0);
            return GateState.Barrier;
        }

        return comesBack ? GateState.Ready : open + held + loops == 0 ? GateState.Ended : GateState.Empty;
    }

    /// <summary>
    /// Whether a barrier stands at every input that brings one. What comes back by a loop then waits for it: a loop that is never without an event would keep it out for ever.
    /// </summary>
    public bool StandsAtBarrier()
    {
        var stands = false;
        foreach (var entry in _entries)
        {
            if (entry.Takes && !entry.Head.IsEnded)
            {
                if (!entry.Head.AtMark || entry.Head.MarkNumber <= _passed)
                {
                    return false;
                }

                stands = true;
            }
        }

        return stands;
    }

    /// <summary>Waits until somebody asks for attention, whatever the inputs hold.</summary>
    public async ValueTask WaitForInterruptAsync(CancellationToken ct)
    {
        while (!HasInterrupt)
        {
            ct.ThrowIfCancellationRequested();
            signal.Arm();
            if ((!HasInterrupt && !ct.IsCancellationRequested) || !signal.Disarm())
            {
                await signal.WaitAsync().ConfigureAwait(true);
            }
        }
    }

    /// <summary>Waits until there is something to do.</summary>
    /// <param name="ct">Gives up.</param>
    /// <param name="wanted">Events that are worth waking for.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<GateState> WaitAsync(CancellationToken ct, int wanted = 1)
    {
        while (true)
        {
            ct.ThrowIfCancellationRequested();
            signal.Arm();
            foreach (var entry in _entries)
            {
                entry.Head.BeforeWait(wanted);
            }

            var state = Look(wanted);
            if (state == GateState.Empty && !ct.IsCancellationRequested)
            {
                await signal.WaitAsync().ConfigureAwait(true);
            }
            else if (!signal.Disarm())
            {
                // Set meanwhile: what was set must be taken, or the next wait would find it.
                await signal.WaitAsync().ConfigureAwait(true);
            }

            foreach (var entry in _entries)
            {
                entry.Head.AfterWait();
            }

            if (state != GateState.Empty)
            {
                return state;
            }
        }
    }

    // Streams are at one moment only where all of them stand at the same barrier. A source that was blocked for too long never sent that of an abandoned checkpoint; those who
    // have it take it first and pass it on, since others may be waiting for it behind them. A stream that ended before a barrier reached it has no mark to give.
    private void TakeBarrier(bool partial)
    {
        var (oldest, newest) = (long.MaxValue, 0L);
        foreach (var entry in _entries)
        {
            if (entry.Takes && entry.Head.MarkNumber is > 0 and var number)
            {
                (oldest, newest) = (Math.Min(oldest, number), Math.Max(newest, number));
            }
        }

        foreach (var entry in _entries)
        {
            if (entry.Takes && entry.Head.MarkNumber == oldest && entry.Head.TryTakeMark(out var barrier))
            {
                Barrier = barrier;
            }
        }

        (IsPartial, _passed) = (partial || oldest != newest, oldest);
    }

    private sealed record Entry(IStreamHead Head, bool ClosesLoop, Func<bool>? IsHeldBack)
    {
        public bool Takes => !ClosesLoop && IsHeldBack?.Invoke() != true;
    }
}
