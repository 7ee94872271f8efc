namespace Loom.Harness.Capabilities;

/// <summary>Metrics: counts every call and times one event in 64, and every batch.</summary>
internal sealed class MetricsLink(TimeProvider time, LinkCounters counters) : Link("Metrics")
{
    private const int Sampled = 64;

    public override ValueTask InvokeAsync(Call call)
    {
        counters.Called();
        if (call.BatchId is not null || counters.Calls % Sampled == 0)
        {
            return TimedAsync(call);
        }

        return Next.InvokeAsync(call);
    }

    private async ValueTask TimedAsync(Call call)
    {
        var start = time.GetTimestamp();
        await Next.InvokeAsync(call).ConfigureAwait(true);
        counters.Seconds.Add(time.GetElapsedTime(start));
    }
}
