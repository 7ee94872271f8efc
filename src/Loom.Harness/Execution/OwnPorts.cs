using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Loom.Components;
using Loom.Harness.Errors;
using Loom.Harness.Streams;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Execution;

/// <summary>An input whose event in hand can be delivered once more.</summary>
internal interface IRedelivers
{
    /// <summary>The component failed with an event in hand: it comes again, or goes to the error destination after its third delivery.</summary>
    ValueTask RedeliverAsync(Exception error, CancellationToken ct);

    /// <summary>The component failed for good with an event in hand: it goes to the error destination.</summary>
    ValueTask RefuseAsync(Exception error, CancellationToken ct);

    /// <summary>The component has ended in order: what it had been given is done.</summary>
    void Finish();
}

/// <summary>An input port of a class with a loop of its own. Barriers and requests are dealt with inside its waits.</summary>
internal sealed class OwnInput<T>(LoopContext loop, InputPort<T> port) : IInput<T>, IRedelivers
{
    private const int MostDeliveries = 3;

    private Event<T> _inHand;
    private bool _hasInHand;
    private bool _again;
    private bool _ended;
    private Injection? _injected;
    private Activity? _hop;

    /// <summary>The component, for snapshots; set when it is set up anew.</summary>
    public Component? Component { get; set; }

    public async ValueTask<bool> WaitToReadAsync(CancellationToken ct)
    {
        Done();
        Inject();
        while (!_again && !_ended)
        {
            loop.FlushOutputs();
            var state = loop.Gate.Look();
            if (state == GateState.Empty)
            {
                state = await loop.Gate.WaitAsync(ct).ConfigureAwait(true);
            }
            else if (state == GateState.Ended && loop.Gate.IsUnbound && loop.Plan.Type == ComponentType.ApiEndpoint)
            {
                // Nothing will come by a port, but requests may.
                await loop.Gate.WaitForInterruptAsync(ct).ConfigureAwait(true);
                state = GateState.Interrupted;
            }

            await loop.RefuseAsync(ct).ConfigureAwait(true);
            switch (state)
            {
                case GateState.Ready:
                    if (loop.Lane is { } lane)
                    {
                        await lane.AllowReadAsync().ConfigureAwait(true);
                    }

                    return true;
                case GateState.Ended:
                    _ended = true;
                    break;
                case GateState.Barrier:
                    await PassAsync(loop.Gate.Barrier!, ct).ConfigureAwait(true);
                    break;
                case GateState.Interrupted:
                    loop.Gate.TakeInterrupt();
                    ct.ThrowIfCancellationRequested();
                    var attention = loop.TakeAttention();
                    await AttendAsync(attention, ct).ConfigureAwait(true);
                    Inject();
                    if (attention.HasFlag(Attention.Wake))
                    {
                        return true;
                    }

                    break;
            }
        }

        return _again;
    }

    public bool TryRead(out Event<T> e)
    {
        if (_again)
        {
            _again = false;
            e = _inHand;
            return true;
        }

        Done();
        if (loop.Gate.HasInterrupt || loop.Lane is { MayRead: false } || !port.TryRead(out e))
        {
            Unsafe.SkipInit(out e);
            return false;
        }

        _inHand = e;
        _hasInHand = true;
        loop.Counters.CountTaken();
        loop.Lane?.Read(() => new Scheduling.Turn(loop.Plan.Name, port.Plan.Name, _inHand.Id, _inHand.Data, 1));
        if (e.IsTraced)
        {
            _hop = Tracing.Hop(loop.Plan.Name, e);
        }

        return true;
    }

    public async ValueTask RedeliverAsync(Exception error, CancellationToken ct)
    {
        if (!_hasInHand)
        {
            return;
        }

        if (_inHand.Attempt < MostDeliveries)
        {
            _inHand = _inHand.WithAttempt(_inHand.Attempt + 1);
            _again = true;
            return;
        }

        await RefuseAsync(error, ct).ConfigureAwait(true);
    }

    public async ValueTask RefuseAsync(Exception error, CancellationToken ct)
    {
        if (_hasInHand)
        {
            Tracing.Fail(_hop, error);
            await loop.Errors.TakeAsync(
                ItemFailure.Of(loop.Plan.Name, port.Plan.Name, _inHand, error, _inHand.Attempt), ct).ConfigureAwait(true);
            loop.Counters.CountFailed();
            (_hasInHand, _again, _inHand) = (false, false, default);
            Settle(InjectionEnd.Failed);
        }
    }

    // A letter that was sent again stays one unless more was asked for after it.
    public void Finish()
    {
        if (_injected is null)
        {
            Done();
        }
    }

    private async ValueTask AttendAsync(Attention attention, CancellationToken ct)
    {
        if (attention.HasFlag(Attention.Barrier) && loop.WantedBarrier is { } barrier)
        {
            await PassAsync(barrier, ct).ConfigureAwait(true);
        }

        if (attention.HasFlag(Attention.Commit) && loop.CommittedBarrier is { } committed)
        {
            await loop.Acknowledgements.TellAsync(committed, ct).ConfigureAwait(true);
        }

        if (attention.HasFlag(Attention.Config))
        {
            await loop.Reconfigure(ct).ConfigureAwait(true);
        }

        if (attention.HasFlag(Attention.Pause))
        {
            await loop.Pause.WaitAsync(ct).ConfigureAwait(true);
        }
    }

    // Asking for the next event says that the one before is done.
    private void Done()
    {
        if (_hasInHand && !_again)
        {
            loop.Counters.CountDone(0);
            _hasInHand = false;
            _inHand = default;
            Settle(InjectionEnd.Done);
        }
    }

    // An event that comes again from outside is delivered like one whose component failed with it in hand.
    private void Inject()
    {
        while (!_hasInHand && loop.Inject(port.Plan.Name) is { } injection)
        {
            if (!OutsideEvent.TryRead(injection.Event, out _inHand))
            {
                loop.Reject(injection);
                continue;
            }

            (_hasInHand, _again, _injected) = (true, true, injection);
            loop.Counters.CountTaken();
        }
    }

    private void Settle(InjectionEnd end)
    {
        _hop?.Dispose();
        _hop = null;
        _injected?.End(end);
        _injected = null;
    }

    [SuppressMessage("Design", "CA1031", Justification = "A component that cannot take part abandons the checkpoint, never the run.")]
    private async ValueTask PassAsync(CheckpointBarrier barrier, CancellationToken ct)
    {
        if (barrier.Number <= loop.PassedBarrier)
        {
            // It went round a loop of bindings and is back where it began.
            return;
        }

        loop.PassedBarrier = barrier.Number;
        await loop.PassAsync(barrier, async () =>
        {
            var state = await Component!.SnapshotAsync(ct).ConfigureAwait(true);
            loop.Acknowledgements.Mark(barrier);
            return state;
        }).ConfigureAwait(true);
    }
}

/// <summary>An output port of a class with a loop of its own: every event is visible when the call returns.</summary>
internal sealed class OwnOutput<T>(LoopContext loop, OutputPort<T> port) : IOutput<T>
{
    // What an endpoint sends comes into the system there.
    private readonly bool _bringsIn = loop.Plan.Type == ComponentType.ApiEndpoint;
    private EventId _parent;
    private int _ordinal;
    private int _untilTraced;

    public async ValueTask SendAsync(Event<T> e, CancellationToken ct)
    {
        if (_bringsIn && --_untilTraced <= 0)
        {
            _untilTraced = loop.TraceSample;
            e = Tracing.Begin(loop.Plan.Name, e);
        }

        if (e.AwaitsOrdinal)
        {
            _ordinal = e.Id == _parent ? _ordinal + 1 : 0;
            _parent = e.Id;
            e = e.Numbered(_ordinal);
        }

        if (!port.TrySend(e))
        {
            await port.SendSlowAsync(e, ct).ConfigureAwait(true);
        }

        loop.Counters.CountEmitted(1);
        port.Flush();
    }
}
