using Loom.Components;
using Loom.Harness.Architecture.Chains;

namespace Loom.Harness.Capabilities;

/// <summary>RateLimiter: events wait until the rate allows them, which backs up the stream. It never throws unless a longest wait is set.</summary>
internal sealed class RateLimitLink(RateLimiterSettings options, TimeProvider time, LinkCounters counters) : Link("RateLimiter")
{
    // Keys beyond this many share what the oldest ones leave: an idle bucket is full again anyway.
    private const int MostKeys = 100_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, TokenBucket> _buckets = new(StringComparer.Ordinal);
    private TokenBucket? _bucket;

    // Events admitted ahead, at most a thousandth of a second's worth: a high rate does not ask the clock for each event.
    private readonly int _chunk = options.Per == RateScope.Component ? (int)Math.Clamp(Math.Min(options.Rate / 1000, options.Burst / 4.0), 1, 1 << 20) : 1;
    private int _ahead;

    public override ValueTask InvokeAsync(Call call)
    {
        if (_chunk > 1)
        {
            if (Interlocked.Add(ref _ahead, -call.Items) >= 0)
            {
                return Next.InvokeAsync(call);
            }

            Interlocked.Add(ref _ahead, call.Items);
        }

        var wait = Take(call);
        if (wait == 0)
        {
            return Next.InvokeAsync(call);
        }

        return WaitAsync(call, TimeSpan.FromSeconds((double)wait / time.TimestampFrequency));
    }

    private long Take(Call call)
    {
        var now = time.GetTimestamp();
        lock (_lock)
        {
            if (options.Per == RateScope.Component)
            {
                _bucket ??= NewBucket(now);
                var extra = _chunk > 1 ? _chunk : 0;
                var wait = TakeFrom(_bucket, call.Items + extra, now);
                Interlocked.Add(ref _ahead, extra);
                return wait;
            }

            var longest = 0L;
            foreach (var item in call.Contexts)
            {
                longest = Math.Max(longest, TakeFrom(BucketOf(item.Key ?? "", now), 1, now));
            }

            return longest;
        }
    }

    private long TakeFrom(TokenBucket bucket, int items, long now)
    {
        var wait = bucket.Take(items, now);
        if (options.MaxWaitMs is { } most && wait > most.TotalSeconds * time.TimestampFrequency)
        {
            bucket.Return(items);
            counters.Failed();
            throw new ItemException("rate_limited", $"the rate of {options.Rate}/s would make this event wait longer than max_wait_ms {most.TotalMilliseconds:F0}");
        }

        return wait;
    }

    private TokenBucket BucketOf(string key, long now)
    {
        if (!_buckets.TryGetValue(key, out var bucket))
        {
            if (_buckets.Count >= MostKeys)
            {
                _buckets.Clear();
            }

            bucket = NewBucket(now);
            _buckets[key] = bucket;
        }

        return bucket;
    }

    private TokenBucket NewBucket(long now) => new(options.Rate, options.Burst, now, time.TimestampFrequency);

    private async ValueTask WaitAsync(Call call, TimeSpan wait)
    {
        counters.Waited();
        var start = time.GetTimestamp();
        await Task.Delay(wait, time, call.Run).ConfigureAwait(true);
        counters.Seconds.Add(time.GetElapsedTime(start));
        await Next.InvokeAsync(call).ConfigureAwait(true);
    }
}
