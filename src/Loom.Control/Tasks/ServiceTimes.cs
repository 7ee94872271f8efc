namespace Loom.Control.Tasks;

/// <summary>The last service times of each pool, from which the chance of meeting a deadline is read. Safe for any thread.</summary>
internal sealed class ServiceTimes
{
    /// <summary>Times kept for each pool.</summary>
    public const int Kept = 256;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, (double[] Ms, long Count)> _pools = [];

    /// <summary>A task of a pool ended well after this time.</summary>
    public void Observe(string pool, TimeSpan time)
    {
        lock (_gate)
        {
            var (ms, count) = _pools.TryGetValue(pool, out var known) ? known : (new double[Kept], 0);
            ms[count % Kept] = time.TotalMilliseconds;
            _pools[pool] = (ms, count + 1);
        }
    }

    /// <summary>Share of the last times that are within a limit, 0 to 1; null while nothing is known of the pool.</summary>
    public double? Within(string pool, TimeSpan limit)
    {
        lock (_gate)
        {
            if (!_pools.TryGetValue(pool, out var known))
            {
                return null;
            }

            var kept = (int)Math.Min(known.Count, Kept);
            return known.Ms.AsSpan(0, kept).ToArray().Count(ms => ms <= limit.TotalMilliseconds) / (double)kept;
        }
    }
}
