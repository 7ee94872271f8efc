using System.Runtime.CompilerServices;
using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Streams;

/// <summary>What the reading side of any stream can be asked, whatever it carries.</summary>
internal interface IStreamHead
{
    bool AtMark { get; }

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

    /// <summary>The barrier all inputs have reached; set while the state is <see cref="GateState.Barrier"/>.</summary>
    public CheckpointBarrier? Barrier { get; private set; }

    public Signal Signal => signal;

    public void Add(IStreamHead head, bool closesLoop = false) => _entries.Add(new Entry(head, closesLoop));

    /// <summary>Whether nothing is bound.</summary>
    public bool IsUnbound => _entries.Count == 0;

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

        var open = 0;
        var loops = 0;
        var marked = 0;
        foreach (var entry in _entries)
        {
            if (wanted == 1 ? entry.Head.CanRead() : entry.Head.CanRead(wanted))
            {
                return GateState.Ready;
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

        if (open == 0 && loops == 0)
        {
            return GateState.Ended;
        }

        if (open == 0 || marked < open)
        {
            return GateState.Empty;
        }

        TakeBarrier();
        return GateState.Barrier;
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

    // A stream that ended before a barrier reached it has no mark to give. When an abandoned checkpoint left its mark in one stream only, the
    // oldest are taken first: the numbers tell the coordinator which is which.
    private void TakeBarrier()
    {
        Barrier = null;
        foreach (var entry in _entries)
        {
            if (entry.Head.TryTakeMark(out var barrier) && (Barrier is null || barrier.Number > Barrier.Number))
            {
                Barrier = barrier;
            }
        }
    }

    private sealed record Entry(IStreamHead Head, bool ClosesLoop);
}
