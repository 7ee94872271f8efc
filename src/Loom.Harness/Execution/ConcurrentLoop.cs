using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Capabilities;
using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>A component whose handler only hands its event on and completes later: it is called on the loop, so events reach it in their order.</summary>
internal interface IPipelined
{
    /// <summary>Events under way at once, known once it is set up; at least 1.</summary>
    int InFlight { get; }
}

/// <summary>
/// The loop of a component that handles several events at once, on the pool. Outputs are released by the loop alone: in input order (<c>strict</c>), in order for each key
/// (<c>key</c>), or as they finish (<c>relaxed</c>).
/// </summary>
internal sealed class ConcurrentLoop<TIn, TOut> : LoopBase<TIn, TOut>
{
    private readonly bool _pipelined;
    private readonly WorkSlot<ItemCall<TIn, TOut>>[] _slots;
    private readonly Stack<WorkSlot<ItemCall<TIn, TOut>>> _free = [];
    private readonly List<WorkSlot<ItemCall<TIn, TOut>>> _busy = [];
    private readonly HashSet<string> _keys = new(StringComparer.Ordinal);
    private readonly ItemOrder _order;

    // An event whose key is still in work, under `key`: nothing is taken behind it.
    private WorkSlot<ItemCall<TIn, TOut>>? _parked;

    public ConcurrentLoop(LoopContext context, ItemComponent<TIn, TOut> component)
        : base(context, component)
    {
        _order = context.Plan.Ordering;
        Chain = context.Chain.Build(component);
        _pipelined = component is IPipelined;
        var slots = component is IPipelined pipelined ? pipelined.InFlight : context.Plan.Concurrency;
        _slots = [.. Enumerable.Range(0, slots).Select(_ => new WorkSlot<ItemCall<TIn, TOut>>(context, Chain, new ItemCall<TIn, TOut>(context.Plan.Name, NewEmitter())))];
        foreach (var slot in _slots)
        {
            _free.Push(slot);
        }
    }

    public override void Dispose()
    {
        foreach (var slot in _slots)
        {
            slot.Call.Dispose();
        }
    }

    protected override IEnumerable<(Event<TIn> Event, int Port, bool Begun)> InHand() =>
        [.. _busy.Select(s => (s.Call.Event, s.Call.Port, s.Error is not null || !s.IsFinished)), .. _parked is { } parked ? [(parked.Call.Event, parked.Call.Port, false)] : Array.Empty<(Event<TIn>, int, bool)>()];

    protected override Link Chain { get; }

    protected override async Task ProcessAsync(CancellationToken ct)
    {
        while (true)
        {
            await ReleaseFinishedAsync(ct).ConfigureAwait(true);
            StartParked(ct);
            while (_parked is null && _free.Count > 0 && TryStart(ct))
            {
            }

            Context.FlushOutputs();
            if (_parked is not null || _free.Count == 0)
            {
                await Context.Gate.WaitForInterruptAsync(ct).ConfigureAwait(true);
                await AttendAsync(ct).ConfigureAwait(true);
            }
            else if (await NextAsync(ct).ConfigureAwait(true) == GateState.Ended)
            {
                return;
            }
        }
    }

    protected override ValueTask SettleAsync(BatchReason reason, CancellationToken ct) => WorkOffAsync(
        () => _busy.Count > 0,
        async stop =>
        {
            await ReleaseFinishedAsync(stop).ConfigureAwait(true);
            StartParked(stop);
        },
        ct);

    private bool TryStart(CancellationToken ct)
    {
        var slot = _free.Peek();
        for (var i = 0; i < Inputs.Length; i++)
        {
            var port = NextPort;
            NextPort = port + 1 == Inputs.Length ? 0 : port + 1;
            if (Inputs[port].TryRead(out slot.Call.Slot))
            {
                _free.Pop();
                Context.Counters.CountTaken();
                slot.Call.Run = ct;
                slot.Call.Taken(port);
                if (_order == ItemOrder.Key && slot.Call.Event.Key is { } key && !_keys.Add(key))
                {
                    _parked = slot;
                }
                else
                {
                    _busy.Add(slot);
                    slot.Start(_pipelined);
                }

                return true;
            }
        }

        return false;
    }

    private void StartParked(CancellationToken ct)
    {
        if (_parked is { } slot && _keys.Add(slot.Call.Event.Key!))
        {
            _parked = null;
            slot.Call.Run = ct;
            _busy.Add(slot);
            slot.Start(_pipelined);
        }
    }

    private async ValueTask ReleaseFinishedAsync(CancellationToken ct)
    {
        for (var i = 0; i < _busy.Count;)
        {
            var slot = _busy[i];
            if (!slot.IsFinished)
            {
                if (_order == ItemOrder.Strict)
                {
                    return;
                }

                i++;
                continue;
            }

            if (await FinishAsync(slot, ct).ConfigureAwait(true))
            {
                _busy.RemoveAt(i);
                _free.Push(slot);
                if (_order == ItemOrder.Key && slot.Call.Event.Key is { } key)
                {
                    _keys.Remove(key);
                }
            }
        }
    }

    // False when the event was set to work again.
    private async ValueTask<bool> FinishAsync(WorkSlot<ItemCall<TIn, TOut>> slot, CancellationToken ct)
    {
        var error = slot.Error;
        var emitted = slot.Call.Output.Count;
        if (error is null)
        {
            try
            {
                await ReleaseAsync(slot.Call.Output, 0, ct).ConfigureAwait(true);
                Context.Counters.CountDone(emitted);
                slot.Call.Output.Clear();
                return true;
            }
            catch (ItemException e)
            {
                error = e;
            }
        }

        slot.Call.Output.Clear();
        if (error is OperationCanceledException)
        {
            ct.ThrowIfCancellationRequested();
        }

        if (await RefuseAsync(slot.Call.Event, slot.Call.Port, error, slot.Call.Attempt, index: null, ct, slot.Releases).ConfigureAwait(true))
        {
            slot.Call.Start();
            slot.Start(_pipelined);
            return false;
        }

        Context.Counters.CountFailed();
        return true;
    }
}
