using System.Numerics;

namespace Loom.Harness.Telemetry;

/// <summary>Counts of durations in buckets of a quarter of a doubling, from 1 µs to about an hour: quantiles to within 25 %.</summary>
internal sealed class LatencyHistogram : IDistribution
{
    private const int StepsPerDoubling = 4;
    private const int Buckets = 32 * StepsPerDoubling;

    private readonly long[] _counts = new long[Buckets + 1];
    private long _sumTicks;

    public long Count
    {
        get
        {
            var count = 0L;
            foreach (var bucket in _counts)
            {
                count += bucket;
            }

            return count;
        }
    }

    public double Sum => TimeSpan.FromTicks(Interlocked.Read(ref _sumTicks)).TotalSeconds;

    public Action<double>? Observed { get; set; }

    public void Add(TimeSpan duration)
    {
        Interlocked.Increment(ref _counts[BucketOf(duration)]);
        Interlocked.Add(ref _sumTicks, duration.Ticks);
        Observed?.Invoke(duration.TotalSeconds);
    }

    /// <summary>The upper edge of the bucket in which the quantile lies, or zero when nothing was counted.</summary>
    public TimeSpan Quantile(double q)
    {
        var wanted = (long)Math.Ceiling(Count * q);
        var seen = 0L;
        for (var i = 0; i < _counts.Length && wanted > 0; i++)
        {
            seen += _counts[i];
            if (seen >= wanted)
            {
                return TimeSpan.FromMicroseconds((1L << (i / StepsPerDoubling)) * (1 + ((i % StepsPerDoubling + 1) / (double)StepsPerDoubling)));
            }
        }

        return TimeSpan.Zero;
    }

    private static int BucketOf(TimeSpan duration)
    {
        var microseconds = (ulong)Math.Max(1, duration.Ticks / TimeSpan.TicksPerMicrosecond);
        var doubling = BitOperations.Log2(microseconds);
        var within = doubling < 2 ? 0 : (int)((microseconds >> (doubling - 2)) & 3);
        return Math.Min((doubling * StepsPerDoubling) + within, Buckets);
    }
}
