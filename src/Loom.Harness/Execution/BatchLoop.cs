using System.Runtime.CompilerServices;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Capabilities;
using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>
/// The loop of a component that handles batches (ADR-024). Each data input gathers a batch of its own; a batch is closed by size, by the age of its first event, at a
/// barrier, at the end or at a stop, and a <c>hybrid</c> one takes what is already there and never waits. One batch is in work at a time (<c>strict</c>) or
/// <c>concurrency</c> of them (<c>relaxed</c>); behind them at most <c>forming_buffer_limit</c> closed ones wait, and then nothing more is taken.
/// </summary>
internal sealed class BatchLoop<TIn, TOut> : LoopBase<TIn, TOut>
{
    private readonly BatchingPlan _plan;
    private readonly bool _hybrid;
    private readonly BatchResults<TIn, TOut> _results;
    private readonly FormingBatch<TIn>[] _forming;
    private readonly Queue<Batch<TIn>> _closed = [];
    private readonly Stack<Batch<TIn>> _spare = [];
    private readonly WorkSlot<BatchCall<TIn, TOut>>[] _slots;
    private readonly Stack<WorkSlot<BatchCall<TIn, TOut>>> _free = [];
    private readonly List<WorkSlot<BatchCall<TIn, TOut>>> _busy = [];
    private long _sequence;

    public BatchLoop(LoopContext context, ItemComponent<TIn, TOut> component, BatchingPlan plan)
        : base(context, component)
    {
        _plan = plan;
        _hybrid = context.Plan.Mode == ProcessingMode.Hybrid;
        Chain = context.Chain.Build(component);
        _results = new BatchResults<TIn, TOut>(context, Outputs, () => NewCall(component), Chain, (e, port, error, attempt, index, ct) => RefuseAsync(e, port, error, attempt, index, ct));
        _forming = [.. Enumerable.Range(0, Inputs.Length).Select(port => new FormingBatch<TIn>(port, NewBatch))];
        var sideBySide = plan.Relaxed && context.Lane is null ? Math.Max(1, context.Plan.Concurrency) : 1;
        _slots = [.. Enumerable.Range(0, sideBySide).Select(_ => new WorkSlot<BatchCall<TIn, TOut>>(context, Chain, NewCall(component)))];
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

    protected override Link Chain { get; }

    // Those in work, but for members that are settled; then those of closed batches, then those that were gathering.
    protected override IEnumerable<(Event<TIn> Event, int Port, bool Begun)> InHand() =>
        [
            .. _slots.Where(s => !_free.Contains(s)).OrderBy(s => s.Call.All.Sequence).SelectMany(s => _results.Unsettled(s.Call).Select(i => (s.Call.All[i], s.Call.All.Port, true))),
            .. _closed.SelectMany(b => b.Select(e => (e, b.Port, false))),
            .. _forming.Where(f => f.Count > 0).SelectMany(f => Enumerable.Range(0, f.Count).Select(i => (f[i], f.Port, false))),
        ];

    protected override async Task ProcessAsync(CancellationToken ct)
    {
        using var timer = Context.Time.CreateTimer(static c => ((LoopContext)c!).Ask(Attention.BatchDue), Context, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        while (true)
        {
            await AdvanceAsync(ct).ConfigureAwait(true);
            if (_closed.Count >= _plan.FormingBufferLimit)
            {
                await Context.Gate.WaitForInterruptAsync(ct).ConfigureAwait(true);
                await AttendAsync(ct).ConfigureAwait(true);
                continue;
            }

            Fill();
            if (CloseDue())
            {
                continue;
            }

            ArmFor(timer);
            if (await NextAsync(ct, Wanted()).ConfigureAwait(true) == GateState.Ended)
            {
                return;
            }
        }
    }

    protected override async ValueTask SettleAsync(BatchReason reason, CancellationToken ct)
    {
        var why = reason == BatchReason.End && Context.Stopping.IsCancellationRequested ? BatchReason.Stop : reason;
        foreach (var forming in _forming.Where(f => f.Count > 0))
        {
            Close(forming, why);
        }

        await WorkOffAsync(() => _busy.Count > 0, AdvanceAsync, ct).ConfigureAwait(true);
    }

    // What handles batches alone gets a batch of one.
    protected override async ValueTask<bool> HandleAgainAsync(Event<TIn> e, int port, CancellationToken ct)
    {
        var forming = new FormingBatch<TIn>(port, NewBatch);
        forming.Room[0] = e;
        forming.Grow(1, Context.Time);
        var now = Context.Time.GetUtcNow();
        var batch = forming.Close(BatchReason.Barrier, ++_sequence, now);
        batch.Dispatched = now;
        var handled = await _results.AgainAsync(batch, 0, ct).ConfigureAwait(true);
        batch.Clear();
        _spare.Push(batch);
        Context.FlushOutputs();
        return handled;
    }

    private BatchCall<TIn, TOut> NewCall(ItemComponent<TIn, TOut> component) => new(Context.Plan.Name, _plan.ErrorMode, component.Outputs);

    private Batch<TIn> NewBatch() =>
        _spare.TryPop(out var batch) ? batch : new Batch<TIn>(_plan.MaxItems) { Component = Context.Plan.Name, Run = Context.Run };

    // Settles what has finished and sets to work what waits, until neither is left to do.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask AdvanceAsync(CancellationToken ct)
    {
        for (var i = 0; i < _busy.Count;)
        {
            var slot = _busy[i];
            if (!slot.IsFinished)
            {
                i++;
            }
            else if (await FinishAsync(slot, ct).ConfigureAwait(true))
            {
                _busy.RemoveAt(i);
            }
        }

        while (_closed.Count > 0 && _free.TryPop(out var slot))
        {
            slot.Call.Run = ct;
            var batch = _closed.Dequeue();
            batch.Dispatched = Context.Time.GetUtcNow();
            slot.Call.Take(batch);
            if (_slots.Length > 1)
            {
                _busy.Add(slot);
                slot.Start(here: false);
            }
            else if (!slot.Run() || !await FinishAsync(slot, ct).ConfigureAwait(true))
            {
                _busy.Add(slot);
            }
        }
    }

    // False when the batch was set to work again.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<bool> FinishAsync(WorkSlot<BatchCall<TIn, TOut>> slot, CancellationToken ct)
    {
        var (call, error) = (slot.Call, slot.Error);
        var batch = call.All;
        if (error is OperationCanceledException)
        {
            ct.ThrowIfCancellationRequested();
        }

        if (error is not null)
        {
            if (Errors.ErrorClasses.Of(error) == ErrorClass.Configuration)
            {
                // The whole batch waits for the setting to be mended.
                await HoldAsync(error, batch, batch.Port, slot.Releases, ct).ConfigureAwait(true);
                call.Take(batch);
                slot.Start(here: _slots.Length == 1);
                return false;
            }

            call.FailAll(error);
        }

        call.Sort();
        await _results.SendAsync(call, ct).ConfigureAwait(true);
        batch.Clear();
        _spare.Push(batch);
        _free.Push(slot);
        Context.FlushOutputs();
        return true;
    }

    private void Fill()
    {
        for (var tried = 0; tried < _forming.Length && !Context.Gate.HasInterrupt; tried++)
        {
            var port = NextPort;
            NextPort = port + 1 == _forming.Length ? 0 : port + 1;
            var forming = _forming[port];
            if (!forming.IsFull)
            {
                var taken = Inputs[port].Read(forming.Room);
                forming.Grow(taken, Context.Time);
                Context.Counters.CountTaken(taken);
            }
        }
    }

    private bool CloseDue()
    {
        var closed = false;
        foreach (var forming in _forming)
        {
            if (_closed.Count < _plan.FormingBufferLimit && forming.Count > 0 && Due(forming) is { } reason)
            {
                Close(forming, reason);
                closed = true;
            }
        }

        return closed;
    }

    // A hybrid batch goes as soon as somebody can take it; while nobody can, it grows.
    private BatchReason? Due(FormingBatch<TIn> forming) => forming.IsFull ? BatchReason.Size
        : _hybrid && forming.Count >= _plan.MinItems && _free.Count > _closed.Count ? BatchReason.Time
        : Context.Time.GetElapsedTime(forming.FirstAt) >= _plan.MaxWait ? BatchReason.Time
        : null;

    private void Close(FormingBatch<TIn> forming, BatchReason reason) => _closed.Enqueue(forming.Close(reason, ++_sequence, Context.Time.GetUtcNow()));

    private void ArmFor(ITimer timer)
    {
        var left = TimeSpan.MaxValue;
        foreach (var forming in _forming)
        {
            if (forming.Count > 0)
            {
                var its = _plan.MaxWait - Context.Time.GetElapsedTime(forming.FirstAt);
                left = its < left ? its : left;
            }
        }

        if (left < TimeSpan.MaxValue)
        {
            timer.Change(left > TimeSpan.Zero ? left : TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        }
    }

    // A batch that waits for its time is woken for what it lacks, not for every event; the first event starts its clock.
    private int Wanted()
    {
        var wanted = int.MaxValue;
        foreach (var forming in _forming)
        {
            wanted = Math.Min(wanted, forming.Count > 0 && !_hybrid ? _plan.MaxItems - forming.Count : 1);
        }

        return wanted;
    }
}
