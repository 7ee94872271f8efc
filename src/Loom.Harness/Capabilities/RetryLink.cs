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
            return RepeatAsync(call, e);
        }

        if (!next.IsCompletedSuccessfully)
        {
            return AwaitAsync(call, next);
        }

        next.GetAwaiter().GetResult();
        return call.Attempt < options.MaxAttempts && call.NarrowToTransient() ? RepeatAsync(call, null) : default;
    }

    private async ValueTask AwaitAsync(Call call, ValueTask next)
    {
        Exception? failed = null;
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
            failed = e;
        }

        await RepeatAsync(call, failed).ConfigureAwait(true);
    }

    private async ValueTask RepeatAsync(Call call, Exception? failed)
    {
        var start = time.GetTimestamp();
        try
        {
            await TryAgainAsync(call, failed).ConfigureAwait(true);
        }
        finally
        {
            counters.Seconds.Add(time.GetElapsedTime(start));
        }
    }

    private async ValueTask TryAgainAsync(Call call, Exception? failed)
    {
        while (true)
        {
            counters.Failed();
            var delay = options.Backoff * Math.Pow(options.Multiplier, call.Attempt - 1);
            delay = delay > options.MaxBackoff ? options.MaxBackoff : delay;
            counters.Waited();
            delay *= 1 + (options.Jitter * ((2 * NextRandom()) - 1));
            // Whoever refused may have said how long to stay away.
            var asked = (failed as Loom.Components.ItemException)?.RetryAfter ?? TimeSpan.Zero;
            await Task.Delay(asked > delay ? asked : delay, time, call.Run).ConfigureAwait(true);
            call.StartAgain();
            failed = null;
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
                failed = e;
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
