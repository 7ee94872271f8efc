namespace Loom.Core.Telemetry;

/// <summary>One series of a family: a number, and for histograms the counts of its buckets. Safe for any number of writers.</summary>
internal sealed class Series(LabelSet labels, double[] bounds)
{
    private readonly long[] _buckets = new long[bounds.Length + 1];
    private double _sum;

    public LabelSet Labels { get; } = labels;

    public double Value => Volatile.Read(ref _sum);

    public void Add(double amount)
    {
        var seen = Volatile.Read(ref _sum);
        while (true)
        {
            var before = Interlocked.CompareExchange(ref _sum, seen + amount, seen);
            if (before.Equals(seen))
            {
                return;
            }

            seen = before;
        }
    }

    public void Set(double value) => Volatile.Write(ref _sum, value);

    public void Observe(double value)
    {
        var bucket = 0;
        while (bucket < bounds.Length && value > bounds[bucket])
        {
            bucket++;
        }

        Interlocked.Increment(ref _buckets[bucket]);
        Add(value);
    }

    public long BucketCount(int index) => Volatile.Read(ref _buckets[index]);
}
