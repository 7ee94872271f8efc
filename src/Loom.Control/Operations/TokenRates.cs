using System.Collections.Concurrent;

namespace Loom.Control.Operations;

/// <summary>Tokens each pool generated in the last ten seconds. Told at the end of an answer; safe for any thread.</summary>
internal sealed class TokenRates(TimeProvider time)
{
    private const int Seconds = 10;

    private readonly ConcurrentDictionary<string, Pool> _pools = new(StringComparer.Ordinal);

    /// <summary>A pool has generated tokens.</summary>
    public void Add(string pool, long tokens) => _pools.GetOrAdd(pool, static _ => new Pool()).Add(Now(), tokens);

    /// <summary>Tokens a second of a pool.</summary>
    public double Of(string pool) => _pools.TryGetValue(pool, out var known) ? known.Sum(Now()) / (double)Seconds : 0;

    private long Now() => time.GetTimestamp() / time.TimestampFrequency;

    private sealed class Pool
    {
        private readonly Lock _gate = new();
        private readonly (long Second, long Tokens)[] _seconds = new (long, long)[Seconds];

        public void Add(long second, long tokens)
        {
            lock (_gate)
            {
                ref var slot = ref _seconds[second % Seconds];
                slot = slot.Second == second ? (second, slot.Tokens + tokens) : (second, tokens);
            }
        }

        public long Sum(long now)
        {
            lock (_gate)
            {
                return _seconds.Where(s => now - s.Second < Seconds).Sum(s => s.Tokens);
            }
        }
    }
}
