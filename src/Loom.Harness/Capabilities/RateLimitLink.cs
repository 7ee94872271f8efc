using Loom.Components;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Control;

namespace Loom.Harness.Capabilities;

/// <summary>RateLimiter: events wait until the rate allows them, which backs up the stream. It never throws unless a longest wait is set.</summary>
/// <param name="declared">Its settings; null where the component has none and only control may hold it back.</param>
/// <param name="dial">The rate control sets, which takes the place of the declared one.</param>
/// <param name="time">Clock.</param>
/// <param name="counters">What it did.</param>
internal sealed class RateLimitLink(RateLimiterSettings? declared, RateDial dial, TimeProvider time, LinkCounters counters) : Link("RateLimiter")
{
    // Keys beyond this many share what the oldest ones leave: an idle bucket is full again anyway.
    private const int MostKeys = 100_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, TokenBucket> _buckets = new(StringComparer.Ordinal);
    private readonly RateLimiterSettings? _declared = declared;
    private RateLimiterSettings? _options = declared;
    private DialedRate? _dialed;
    private TokenBucket? _bucket;

    // Events admitted ahead, at most a thousandth of a second's worth: a high rate does not ask the clock for each event.
    private int _chunk = ChunkOf(declared);
    private int _ahead;

    public override ValueTask InvokeAsync(Call call)
    {
        if (dial.Rate != _dialed)
        {
            Adopt();
        }

        if (_options is null)
        {
            return Next.InvokeAsync(call);
        }

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

    private static int ChunkOf(RateLimiterSettings? options) =>
        options?.Per == RateScope.Component ? (int)Math.Clamp(Math.Min(options.Rate / 1000, options.Burst / 4.0), 1, 1 << 20) : 1;

    // Whoever waits by the old rate waits to its end; everything after goes by the new one.
    private void Adopt()
    {
        lock (_lock)
        {
            _dialed = dial.Rate;
            _options = _dialed is not { PerSecond: > 0 } set ? null : (_declared ?? new RateLimiterSettings()) with { Rate = set.PerSecond, Burst = set.Burst };
            _chunk = ChunkOf(_options);
            _ahead = 0;
            _bucket = null;
            _buckets.Clear();
        }
    }

    private long Take(Call call)
    {
        var now = time.GetTimestamp();
        lock (_lock)
        {
            if (_options is not { } options)
            {
                return 0;
            }

            if (options.Per == RateScope.Component)
            {
                _bucket ??= NewBucket(options, now);
                var extra = _chunk > 1 ? _chunk : 0;
                var wait = TakeFrom(options, _bucket, call.Items + extra, now);
                Interlocked.Add(ref _ahead, extra);
                return wait;
            }

            var longest = 0L;
            foreach (var item in call.Contexts)
            {
                longest = Math.Max(longest, TakeFrom(options, BucketOf(options, item.Key ?? "", now), 1, now));
            }

            return longest;
        }
    }

    private long TakeFrom(RateLimiterSettings options, TokenBucket bucket, int items, long now)
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

    private TokenBucket BucketOf(RateLimiterSettings options, string key, long now)
    {
        if (!_buckets.TryGetValue(key, out var bucket))
        {
            if (_buckets.Count >= MostKeys)
            {
                _buckets.Clear();
            }

            bucket = NewBucket(options, now);
            _buckets[key] = bucket;
        }

        return bucket;
    }

    private TokenBucket NewBucket(RateLimiterSettings options, long now) => new(options.Rate, options.Burst, now, time.TimestampFrequency);

    private async ValueTask WaitAsync(Call call, TimeSpan wait)
    {
        counters.Waited();
        var start = time.GetTimestamp();
        await Task.Delay(wait, time, call.Run).ConfigureAwait(true);
        counters.Seconds.Add(time.GetElapsedTime(start));
        await Next.InvokeAsync(call).ConfigureAwait(true);
    }
}
