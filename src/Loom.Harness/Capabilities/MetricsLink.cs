namespace Loom.Harness.Capabilities;

/// <summary>Metrics: counts every call and times one event in <paramref name="sample"/>, and every batch.</summary>
internal sealed class MetricsLink(int sample, TimeProvider time, LinkCounters counters) : Link("Metrics")
{
    public override ValueTask InvokeAsync(Call call)
    {
        counters.Called();
        if (call.BatchId is not null || counters.Calls % sample == 0)
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
