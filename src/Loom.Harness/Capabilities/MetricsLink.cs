namespace Loom.Harness.Capabilities;

/// <summary>Metrics: counts every call and times one event in <paramref name="sample"/>, and every batch.</summary>
internal sealed class MetricsLink(int sample, TimeProvider time, LinkCounters counters) : Link("Metrics")
{
    private int _untilTimed;

    public override ValueTask InvokeAsync(Call call)
    {
        counters.Called();
        if (_untilTimed-- > 0 && !call.IsBatch)
        {
            return Next.InvokeAsync(call);
        }

        _untilTimed = sample - 1;
        return TimedAsync(call);
    }

    private async ValueTask TimedAsync(Call call)
    {
        var start = time.GetTimestamp();
        await Next.InvokeAsync(call).ConfigureAwait(true);
        counters.Seconds.Add(time.GetElapsedTime(start));
        if (call.IsBatch)
        {
            counters.Sizes.Add(call.Items);
        }
    }
}
