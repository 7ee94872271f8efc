using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Capabilities;
using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>
/// The loop of a component that handles batches (ADR-024). A batch is closed by size, by the age of its first event, at a barrier, at the end or at a stop; a
/// <c>hybrid</c> one takes what is already there and never waits.
/// </summary>
internal sealed class BatchLoop<TIn, TOut> : LoopBase<TIn, TOut>
{
    private readonly BatchingPlan _plan;
    private readonly bool _hybrid;
    private readonly Link _chain;
    private readonly BatchCall<TIn, TOut> _call;
    private readonly Batch<TIn> _batch;
    private readonly int[] _emitted;
    private long _firstAt;
    private long _sequence;

    public BatchLoop(LoopContext context, ItemComponent<TIn, TOut> component, BatchingPlan plan)
        : base(context, component)
    {
        _plan = plan;
        _hybrid = context.Plan.Mode == ProcessingMode.Hybrid;
        _chain = context.Chain.Build(component);
        _call = new BatchCall<TIn, TOut>(context.Plan.Name, plan.ErrorMode);
        _batch = new Batch<TIn>(plan.MaxItems) { Component = context.Plan.Name, Run = context.Run };
        _emitted = new int[plan.MaxItems];
    }

    public override void Dispose() => _call.Dispose();

    protected override async Task ProcessAsync(CancellationToken ct)
    {
        _call.Run = ct;
        using var timer = Context.Time.CreateTimer(static c => ((LoopContext)c!).Ask(Attention.BatchDue), Context, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        while (true)
        {
            Fill();
            if (_batch.IsFull || (_hybrid && _batch.Count >= _plan.MinItems))
            {
                await DispatchAsync(_batch.IsFull ? BatchReason.Size : BatchReason.Time, ct).ConfigureAwait(true);
                continue;
            }

            if (_batch.Count > 0)
            {
                var left = _plan.MaxWait - Context.Time.GetElapsedTime(_firstAt);
                if (left <= TimeSpan.Zero)
                {
                    await DispatchAsync(BatchReason.Time, ct).ConfigureAwait(true);
                    continue;
                }

                timer.Change(left, Timeout.InfiniteTimeSpan);
            }

            if (await NextAsync(ct).ConfigureAwait(true) == GateState.Ended)
            {
                return;
            }
        }
    }

    protected override ValueTask SettleAsync(BatchReason reason, CancellationToken ct) =>
        _batch.Count > 0 ? DispatchAsync(reason == BatchReason.End && Context.Stopping.IsCancellationRequested ? BatchReason.Stop : reason, ct) : default;

    private void Fill()
    {
        while (!_batch.IsFull && !Context.Gate.HasInterrupt && TryTake(out var e))
        {
            if (_batch.Count == 0)
            {
                _firstAt = Context.Time.GetTimestamp();
                _batch.FirstItem = Context.Time.GetUtcNow();
            }

            _batch.Add(e);
            Context.Counters.CountTaken();
        }
    }

    private bool TryTake(out Event<TIn> e)
    {
        for (var i = 0; i < Inputs.Length; i++)
        {
            var port = NextPort;
            NextPort = port + 1 == Inputs.Length ? 0 : port + 1;
            if (Inputs[port].TryRead(out e))
            {
                return true;
            }
        }

        e = default;
        return false;
    }

    private async ValueTask DispatchAsync(BatchReason reason, CancellationToken ct)
    {
        var now = Context.Time.GetUtcNow();
        _batch.Sequence = ++_sequence;
        _batch.Reason = reason;
        _batch.LastItem = now;
        _batch.Formed = now;
        _batch.Dispatched = now;
        _call.Take(_batch);
        await InvokeAsync(ct).ConfigureAwait(true);
        await SettleResultsAsync(ct).ConfigureAwait(true);
        _batch.Clear();
        Context.FlushOutputs();
    }

    private async ValueTask InvokeAsync(CancellationToken ct)
    {
        while (true)
        {
            try
            {
                var handled = _chain.InvokeAsync(_call);
                if (!handled.IsCompletedSuccessfully)
                {
                    Context.FlushOutputs();
                    await handled.ConfigureAwait(true);
                }

                _call.Sort();
                return;
            }
            catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
            {
                if (Errors.ErrorClasses.Of(e) != ErrorClass.Configuration)
                {
                    _call.FailAll(e);
                    return;
                }

                // The whole batch waits for the setting to be mended.
                await RefuseAsync(_batch[0], 0, e, _call.Attempt, index: 0, ct).ConfigureAwait(true);
                _call.Take(_batch);
            }
        }
    }

    private async ValueTask SettleResultsAsync(CancellationToken ct)
    {
        Array.Clear(_emitted, 0, _batch.Count);
        foreach (var (index, e) in _call.Results)
        {
            _emitted[index]++;
            if (Outputs.Length == 0)
            {
                continue;
            }

            if (!Outputs[0].TrySend(e))
            {
                await Outputs[0].SendSlowAsync(e, ct).ConfigureAwait(true);
            }
        }

        if (_call.Failures.Count == 0)
        {
            for (var i = 0; i < _batch.Count; i++)
            {
                Context.Counters.CountDone(_emitted[i]);
            }

            return;
        }

        for (var i = 0; i < _batch.Count; i++)
        {
            if (!_call.Failures.TryGetValue(i, out var error))
            {
                Context.Counters.CountDone(_emitted[i]);
                continue;
            }

            if (await RefuseAsync(_batch[i], 0, error, _call.Attempt, i, ct).ConfigureAwait(true))
            {
                // One member's setting was wrong: it alone goes through the chain again.
                await AgainAsync(i, ct).ConfigureAwait(true);
            }
            else
            {
                Context.Counters.CountFailed();
            }
        }
    }

    private async ValueTask AgainAsync(int index, CancellationToken ct)
    {
        using var one = new BatchCall<TIn, TOut>(Context.Plan.Name, _plan.ErrorMode) { Run = ct };
        while (true)
        {
            one.Take(_batch.Part([_batch[index]]));
            try
            {
                await _chain.InvokeAsync(one).ConfigureAwait(true);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                one.FailAll(e);
            }

            if (one.Failures.Count == 0)
            {
                foreach (var (_, e) in one.Results)
                {
                    await Outputs[0].SendSlowAsync(e, ct).ConfigureAwait(true);
                }

                Context.Counters.CountDone(one.Results.Count);
                return;
            }

            if (!await RefuseAsync(_batch[index], 0, one.Failures[0], one.Attempt, index, ct).ConfigureAwait(true))
            {
                Context.Counters.CountFailed();
                return;
            }
        }
    }
}
