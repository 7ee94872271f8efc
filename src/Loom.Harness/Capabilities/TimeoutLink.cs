using Loom.Components;

namespace Loom.Harness.Capabilities;

/// <summary>
/// Timeout: an attempt that takes too long has its token cancelled and counts as failed for a passing reason. The clock runs only once the handler
/// waits for something, so a handler that returns at once costs no timer.
/// </summary>
internal sealed class TimeoutLink(TimeSpan attempt, TimeProvider time, LinkCounters counters) : Link("Timeout")
{
    public override ValueTask InvokeAsync(Call call)
    {
        var source = call.AttemptSource(time);
        call.Token = source.Token;
        var next = Next.InvokeAsync(call);
        if (!next.IsCompletedSuccessfully)
        {
            return AwaitAsync(call, next, source);
        }

        next.GetAwaiter().GetResult();
        return default;
    }

    private async ValueTask AwaitAsync(Call call, ValueTask next, CancellationTokenSource source)
    {
        source.CancelAfter(attempt);
        var start = time.GetTimestamp();
        try
        {
            await next.ConfigureAwait(true);
        }
        catch (OperationCanceledException) when (source.IsCancellationRequested && !call.Run.IsCancellationRequested)
        {
            counters.Failed();
            throw new ItemException("timeout", $"the attempt took longer than attempt_ms {attempt.TotalMilliseconds:F0}", ErrorClass.Transient);
        }
        finally
        {
            counters.Seconds.Add(time.GetElapsedTime(start));
            if (!source.IsCancellationRequested)
            {
                source.CancelAfter(Timeout.InfiniteTimeSpan);
            }
        }
    }
}
