using System.Runtime.CompilerServices;
using Loom.Components;
using Loom.Harness.Capabilities;
using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>What becomes of a batch once it is handled: results go on in the order of their members, members that failed go to the error destination. For the loop alone.</summary>
/// <param name="context">The loop.</param>
/// <param name="outputs">Its data outputs.</param>
/// <param name="newCall">A call for one member that is tried again alone.</param>
/// <param name="chain">The chain it goes through then.</param>
/// <param name="refuse">Hands a failed event on; true when it is to be tried again.</param>
internal sealed class BatchResults<TIn, TOut>(
    LoopContext context,
    OutputPort<TOut>[] outputs,
    Func<BatchCall<TIn, TOut>> newCall,
    Link chain,
    Func<Event<TIn>, int, Exception, int, int?, CancellationToken, ValueTask<bool>> refuse)
{
    private readonly Dictionary<int, Exception> _refused = [];
    private int[] _emitted = [];

    // The call whose failures are being handed on, and the first of its members that may be a failure not yet handed on; null: no member of a call is settled.
    private BatchCall<TIn, TOut>? _settling;
    private int _next;

    /// <summary>Members of a call that were neither handled nor refused, by index in the whole batch.</summary>
    public IEnumerable<int> Unsettled(BatchCall<TIn, TOut> call) => ReferenceEquals(call, _settling)
        ? Enumerable.Range(_next, call.All.Count - _next).Where(i => ErrorOf(call, i) is not null)
        : Enumerable.Range(0, call.All.Count);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendAsync(BatchCall<TIn, TOut> call, CancellationToken ct)
    {
        _refused.Clear();
        if (_emitted.Length < call.All.Count)
        {
            _emitted = new int[Math.Max(64, call.All.Count)];
        }

        if (call.IsPlain)
        {
            await SendPlainAsync(call, ct).ConfigureAwait(true);
            return;
        }

        Array.Clear(_emitted, 0, call.All.Count);
        foreach (var (index, port, e) in call.Results)
        {
            _emitted[index]++;
            await SendOneAsync(index, port, e, ct).ConfigureAwait(true);
        }

        await CountAsync(call, ct).ConfigureAwait(true);
    }

    // Nothing failed and everything is in order: results go on as they lie.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendPlainAsync(BatchCall<TIn, TOut> call, CancellationToken ct)
    {
        var (output, members) = (call.Output, call.All.Count);
        var count = output.Count;
        if (outputs.Length > 0)
        {
            for (var sent = outputs[0].Send(output.Sent); sent < count;)
            {
                await SendOneAsync(output.Members[sent], 0, output.Sent[sent], ct).ConfigureAwait(true);
                sent++;
                sent += outputs[0].Send(output.Sent[sent..]);
            }
        }

        if (_refused.Count == 0 && (outputs.Length == 0 || (count == members && output.Members[^1] == count - 1)))
        {
            context.Counters.CountDone(members, count);
            return;
        }

        Array.Clear(_emitted, 0, members);
        foreach (var member in output.Members)
        {
            _emitted[member]++;
        }

        await CountAsync(call, ct).ConfigureAwait(true);
    }

    // A rule of the port may refuse a result: that is an error of the member it came from.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendOneAsync(int index, int port, Event<TOut> e, CancellationToken ct)
    {
        if (outputs.Length == 0 || outputs[port].TrySend(e))
        {
            return;
        }

        try
        {
            await outputs[port].SendSlowAsync(e, ct).ConfigureAwait(true);
        }
        catch (ItemException error)
        {
            _refused.TryAdd(index, error);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask CountAsync(BatchCall<TIn, TOut> call, CancellationToken ct)
    {
        var batch = call.All;
        for (var i = 0; i < batch.Count; i++)
        {
            if (ErrorOf(call, i) is null)
            {
                context.Counters.CountDone(_emitted[i]);
            }
        }

        (_settling, _next) = (call, 0);
        for (; _next < batch.Count; _next++)
        {
            if (ErrorOf(call, _next) is not { } error)
            {
                continue;
            }

            if (await refuse(batch[_next], batch.Port, error, call.Attempt, _next, ct).ConfigureAwait(true))
            {
                // One member's setting was wrong: it alone goes through the chain again.
                await AgainAsync(batch, _next, ct).ConfigureAwait(true);
            }
            else
            {
                context.Counters.CountFailed();
            }
        }

        _settling = null;
    }

    private Exception? ErrorOf(BatchCall<TIn, TOut> call, int index) => call.Failures.GetValueOrDefault(index) ?? _refused.GetValueOrDefault(index);

    /// <summary>One member goes through the chain alone, until it is handled or refused for good; false then.</summary>
    public async ValueTask<bool> AgainAsync(Batch<TIn> batch, int index, CancellationToken ct)
    {
        using var one = newCall();
        one.Run = ct;
        while (true)
        {
            one.Take(batch.Part([batch[index]]));
            try
            {
                await chain.InvokeAsync(one).ConfigureAwait(true);
            }
            catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
            {
                one.FailAll(e);
            }

            if (!one.Failures.TryGetValue(0, out var error))
            {
                error = await ReleaseAsync(index, one, ct).ConfigureAwait(true);
            }

            if (error is null)
            {
                return true;
            }

            if (!await refuse(batch[index], batch.Port, error, one.Attempt, index, ct).ConfigureAwait(true))
            {
                context.Counters.CountFailed();
                return false;
            }
        }
    }

    private async ValueTask<Exception?> ReleaseAsync(int index, BatchCall<TIn, TOut> one, CancellationToken ct)
    {
        _refused.Remove(index);
        IReadOnlyList<(int Port, Event<TOut> Event)> results = one.IsPlain ? [.. one.Output.Results.Select(r => (0, r.Event))] : [.. one.Results.Select(r => (r.Port, r.Event))];
        foreach (var (port, e) in results)
        {
            await SendOneAsync(index, port, e, ct).ConfigureAwait(true);
        }

        if (_refused.TryGetValue(index, out var error))
        {
            return error;
        }

        context.Counters.CountDone(results.Count);
        return null;
    }
}
