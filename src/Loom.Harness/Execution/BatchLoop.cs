using System.Runtime.CompilerServices;
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

            // A batch that waits for its time is woken for what it lacks, not for every event; the first event starts its clock.
            var wanted = _batch.Count > 0 && !_hybrid ? _plan.MaxItems - _batch.Count : 1;
            if (await NextAsync(ct, wanted).ConfigureAwait(true) == GateState.Ended)
            {
                return;
            }
        }
    }

    protected override ValueTask SettleAsync(BatchReason reason, CancellationToken ct) =>
        _batch.Count > 0 ? DispatchAsync(reason == BatchReason.End && Context.Stopping.IsCancellationRequested ? BatchReason.Stop : reason, ct) : default;

    private void Fill()
    {
        for (var tried = 0; tried < Inputs.Length && !_batch.IsFull && !Context.Gate.HasInterrupt; tried++)
        {
            var first = _batch.Count == 0;
            var taken = Inputs[NextPort].Read(_batch.Room);
            NextPort = NextPort + 1 == Inputs.Length ? 0 : NextPort + 1;
            _batch.Grow(taken);
            Context.Counters.CountTaken(taken);
            if (first && taken > 0)
            {
                _firstAt = Context.Time.GetTimestamp();
                _batch.FirstItem = Context.Time.GetUtcNow();
            }
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
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

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
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
        if (_call.IsPlain)
        {
            await SendPlainAsync(ct).ConfigureAwait(true);
            return;
        }

        Array.Clear(_emitted, 0, _batch.Count);
        foreach (var (index, e) in _call.Results)
        {
            _emitted[index]++;
            if (Outputs.Length > 0 && !Outputs[0].TrySend(e))
            {
                await Outputs[0].SendSlowAsync(e, ct).ConfigureAwait(true);
            }
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

    // Nothing failed and everything is in order: results go on as they lie.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendPlainAsync(CancellationToken ct)
    {
        var count = _call.Output.Count;
        if (Outputs.Length > 0)
        {
            for (var sent = Outputs[0].Send(_call.Output.Sent); sent < count;)
            {
                await Outputs[0].SendSlowAsync(_call.Output.Sent[sent++], ct).ConfigureAwait(true);
                sent += Outputs[0].Send(_call.Output.Sent[sent..]);
            }
        }

        if (count == _batch.Count && _call.Output.Members[^1] == count - 1)
        {
            Context.Counters.CountDone(count, count);
            return;
        }

        Array.Clear(_emitted, 0, _batch.Count);
        foreach (var member in _call.Output.Members)
        {
            _emitted[member]++;
        }

        for (var i = 0; i < _batch.Count; i++)
        {
            Context.Counters.CountDone(_emitted[i]);
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
                var results = one.IsPlain ? one.Output.Results : one.Results;
                foreach (var (_, e) in results)
                {
                    await Outputs[0].SendSlowAsync(e, ct).ConfigureAwait(true);
                }

                Context.Counters.CountDone(results.Count);
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
