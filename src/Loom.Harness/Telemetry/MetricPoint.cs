namespace Loom.Harness.Telemetry;

/// <summary>One series of a metric at one moment.</summary>
/// <param name="Value">Its value.</param>
/// <param name="Labels">Names from the system's files and words from short lists; never a key or an id.</param>
internal readonly record struct MetricPoint(double Value, params KeyValuePair<string, object?>[] Labels)
{
    /// <summary>Whether the series carries all these labels.</summary>
    public bool Has(IReadOnlyDictionary<string, string> labels)
    {
        foreach (var (name, value) in labels)
        {
            if (!Array.Exists(Labels, l => l.Key == name && (string?)l.Value == value))
            {
                return false;
            }
        }

        return true;
    }
}

/// <summary>What the values of a metric mean.</summary>
internal enum MetricKind
{
    /// <summary>Only grows.</summary>
    Counter,

    /// <summary>A present value.</summary>
    Gauge,
}

/// <summary>A metric of every system.</summary>
/// <param name="Name">Without the prefix <c>loom_harness_</c>, as expressions write it.</param>
/// <param name="Kind">What its values mean.</param>
/// <param name="Help">One line for people.</param>
/// <param name="Read">Its series now.</param>
internal sealed record SystemMetric(string Name, MetricKind Kind, string Help, Func<MetricView, IEnumerable<MetricPoint>> Read);
