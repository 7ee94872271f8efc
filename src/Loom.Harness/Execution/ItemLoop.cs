using System.Runtime.CompilerServices;
using Loom.Components;
using Loom.Harness.Capabilities;
using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>
/// The loop of a component that handles one event at a time. While everything completes at once it runs without a single await; it leaves that run only
/// to wait for input, for room, for a handler, or because it was asked to look up, and makes its outputs visible first.
/// </summary>
internal sealed class ItemLoop<TIn, TOut> : LoopBase<TIn, TOut>
{
    private readonly Link _chain;
    private readonly ItemCall<TIn, TOut> _call;
    private readonly InputPort<TIn>? _plain;
    private ValueTask _pending;
    private Exception? _error;
    private int _released;

    // An event is in hand outside RunSync, which ends with none or leaves it to what comes next.
    private bool _inHand;

    public ItemLoop(LoopContext context, ItemComponent<TIn, TOut> component)
        : base(context, component)
    {
        _chain = context.Chain.Build(component);
        _plain = Inputs is [{ IsPlain: true } only] ? only : null;
        _call = new ItemCall<TIn, TOut>(context.Plan.Name, NewEmitter());
    }

    private enum Stop
    {
        Input,
        Room,
        Handler,
        Error,
        Attention,
    }

    public override void Dispose() => _call.Dispose();

    // A tick, a commit or a barrier may fail too, and then none is in hand.
    protected override IEnumerable<(Event<TIn> Event, int Port, bool Begun)> InHand() => _inHand ? [(_call.Event, _call.Port, true)] : [];

    protected override Link Chain => _chain;

    protected override async Task ProcessAsync(CancellationToken ct)
    {
        _call.Run = ct;
        while (true)
        {
            var stop = RunSync(ct);
            _inHand = stop is Stop.Room or Stop.Handler or Stop.Error;
            Context.FlushOutputs();
            switch (stop)
            {
                case Stop.Input when await NextAsync(ct).ConfigureAwait(true) == GateState.Ended:
                    return;
                case Stop.Attention:
                    await AttendAsync(ct).ConfigureAwait(true);
                    break;
                case Stop.Room:
                    await FinishReleaseAsync(ct).ConfigureAwait(true);
                    break;
                case Stop.Handler or Stop.Error:
                    await FinishAsync(stop == Stop.Handler, ct).ConfigureAwait(true);
                    break;
            }

            _inHand = false;
        }
    }

    private Stop RunSync(CancellationToken ct)
    {
        var gate = Context.Gate;
        while (true)
        {
            if (gate.HasInterrupt)
            {
                return Stop.Attention;
            }

            if (!TryTake())
            {
                return Stop.Input;
            }

            Context.Counters.CountTaken();
            try
            {
                ct.ThrowIfCancellationRequested();
                var handled = _chain.InvokeAsync(_call);
                if (!handled.IsCompleted)
                {
                    _pending = handled;
                    return Stop.Handler;
                }

                handled.GetAwaiter().GetResult();
            }
            catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
            {
                _error = e;
                return Stop.Error;
            }

            if (!TryRelease())
            {
                return Stop.Room;
            }
        }
    }

    // What could not be sent without waiting; a rule of an output port may refuse it, which is this event's error.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask FinishReleaseAsync(CancellationToken ct)
    {
        var emitted = _call.Output.Count;
        try
        {
            await ReleaseAsync(_call.Output, _released, ct).ConfigureAwait(true);
            Context.Counters.CountDone(emitted);
        }
        catch (ItemException e)
        {
            await RefuseAsync(_call.Event, _call.Port, e, _call.Attempt, index: null, ct).ConfigureAwait(true);
            Context.Counters.CountFailed();
        }

        _call.Output.Clear();
    }

    private bool TryTake()
    {
        if (_plain is not null)
        {
            if (!_plain.TryTake(out var slots, out var index))
            {
                return false;
            }

            _call.Point(slots, index);
            _call.Taken(0);
            return true;
        }

        for (var i = 0; i < Inputs.Length; i++)
        {
            var port = NextPort;
            NextPort = port + 1 == Inputs.Length ? 0 : port + 1;
            if (Inputs[port].TryRead(out _call.Slot))
            {
                _call.Taken(port);
                return true;
            }
        }

        return false;
    }

    private bool TryRelease()
    {
        var held = _call.Output.Held;
        for (var i = 0; i < held.Length; i++)
        {
            if (!Outputs[_call.Output.PortIndexOf(i)].TrySend(held[i]))
            {
                _released = i;
                return false;
            }
        }

        Context.Counters.CountDone(held.Length);
        _call.Output.Clear();
        return true;
    }

    private async ValueTask FinishAsync(bool pending, CancellationToken ct)
    {
        var error = _error;
        _error = null;
        if (pending)
        {
            error = await ErrorOfAsync(_pending, ct).ConfigureAwait(true);
        }

        while (true)
        {
            error ??= await ReleaseHeldAsync(ct).ConfigureAwait(true);
            if (error is null)
            {
                return;
            }

            _call.Output.Clear();
            if (!await RefuseAsync(_call.Event, _call.Port, error, _call.Attempt, index: null, ct).ConfigureAwait(true))
            {
                Context.Counters.CountFailed();
                return;
            }

            // A setting was wrong and has been mended: the same event again.
            _call.Start();
            error = await AgainAsync(ct).ConfigureAwait(true);
        }
    }

    private async ValueTask<Exception?> ReleaseHeldAsync(CancellationToken ct)
    {
        try
        {
            var emitted = _call.Output.Count;
            await ReleaseAsync(_call.Output, 0, ct).ConfigureAwait(true);
            Context.Counters.CountDone(emitted);
            _call.Output.Clear();
            return null;
        }
        catch (ItemException e)
        {
            return e;
        }
    }

    private async ValueTask<Exception?> AgainAsync(CancellationToken ct)
    {
        try
        {
            await _chain.InvokeAsync(_call).ConfigureAwait(true);
            return null;
        }
        catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
        {
            return e;
        }
    }

    private static async ValueTask<Exception?> ErrorOfAsync(ValueTask pending, CancellationToken ct)
    {
        try
        {
            await pending.ConfigureAwait(true);
            return null;
        }
        catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
        {
            return e;
        }
    }
}
