using Loom.Components;
using Loom.Harness.Errors;

namespace Loom.Harness.Capabilities;

/// <summary>Settings of Retry.</summary>
/// <param name="Attempts">In total; 3 by default.</param>
/// <param name="Delay">Before the second; 1 s by default, doubling.</param>
/// <param name="MaxDelay">60 s by default.</param>
/// <param name="Jitter">Part of a delay by which it varies either way; 0.1 by default.</param>
internal sealed record RetryOptions(int Attempts, TimeSpan Delay, TimeSpan MaxDelay, double Jitter);

/// <summary>Retry: failures that may pass are tried again after a growing delay. A batch whose members fail alone is tried again with those alone.</summary>
internal sealed class RetryLink(RetryOptions options, TimeProvider time, Random random, LinkCounters counters) : Link("Retry")
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
        return call.Attempt < options.Attempts && call.NarrowToTransient() ? RepeatAsync(call) : default;
    }

    private async ValueTask AwaitAsync(Call call, ValueTask next)
    {
        try
        {
            await next.ConfigureAwait(true);
            if (call.Attempt >= options.Attempts || !call.NarrowToTransient())
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
            var delay = options.Delay * Math.Pow(2, call.Attempt - 1);
            delay = delay > options.MaxDelay ? options.MaxDelay : delay;
            counters.Waited();
            await Task.Delay(delay * (1 + (options.Jitter * ((2 * NextRandom()) - 1))), time, call.Run).ConfigureAwait(true);
            call.StartAgain();
            try
            {
                await Next.InvokeAsync(call).ConfigureAwait(true);
                if (call.Attempt >= options.Attempts || !call.NarrowToTransient())
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
        call.Attempt < options.Attempts && call.CanRepeat && !call.Run.IsCancellationRequested
        && error is not OperationCanceledException && ErrorClasses.Of(error) == ErrorClass.Transient;
}
