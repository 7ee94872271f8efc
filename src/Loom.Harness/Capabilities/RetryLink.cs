using Loom.Components;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Errors;

namespace Loom.Harness.Capabilities;

/// <summary>Retry: failures that may pass are tried again after a growing delay. A batch whose members fail alone is tried again with those alone.</summary>
internal sealed class RetryLink(RetrySettings options, TimeProvider time, Random random, LinkCounters counters) : Link("Retry")
{
    public override ValueTask InvokeAsync(Call call)
    {
        ValueTask next;
        try
        {
            next = Next.InvokeAsync(call);
        }
        catch (Exception e) when (MayRepeat(call, e))
        {
            return RepeatAsync(call);
        }

        if (!next.IsCompletedSuccessfully)
        {
            return AwaitAsync(call, next);
        }

        next.GetAwaiter().GetResult();
        return call.Attempt < options.MaxAttempts && call.NarrowToTransient() ? RepeatAsync(call) : default;
    }

    private async ValueTask AwaitAsync(Call call, ValueTask next)
    {
        try
        {
            await next.ConfigureAwait(true);
            if (call.Attempt >= options.MaxAttempts || !call.NarrowToTransient())
            {
                return;
            }
        }
        catch (Exception e) when (MayRepeat(call, e))
        {
        }

        await RepeatAsync(call).ConfigureAwait(true);
    }

    private async ValueTask RepeatAsync(Call call)
    {
        while (true)
        {
            counters.Failed();
            var delay = options.Backoff * Math.Pow(options.Multiplier, call.Attempt - 1);
            delay = delay > options.MaxBackoff ? options.MaxBackoff : delay;
            counters.Waited();
            await Task.Delay(delay * (1 + (options.Jitter * ((2 * NextRandom()) - 1))), time, call.Run).ConfigureAwait(true);
            call.StartAgain();
            try
            {
                await Next.InvokeAsync(call).ConfigureAwait(true);
                if (call.Attempt >= options.MaxAttempts || !call.NarrowToTransient())
                {
                    return;
                }
            }
            catch (Exception e) when (MayRepeat(call, e))
            {
            }
        }
    }

    private double NextRandom()
    {
        lock (random)
        {
            return random.NextDouble();
        }
    }

    private bool MayRepeat(Call call, Exception error) =>
        call.Attempt < options.MaxAttempts && call.CanRepeat && !call.Run.IsCancellationRequested
        && error is not OperationCanceledException && ErrorClasses.Of(error) == ErrorClass.Transient;
}
