using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Loom.Core.Telemetry;

/// <summary>How a family appears in the Prometheus text format.</summary>
internal enum FamilyKind
{
    /// <summary>Only grows.</summary>
    Counter,

    /// <summary>A present value.</summary>
    Gauge,

    /// <summary>Counts by bucket.</summary>
    Histogram,
}

/// <summary>All series of one instrument. Beyond <see cref="MostSeries"/> new label values are counted together as <c>other</c>.</summary>
internal sealed class MetricFamily
{
    public const int MostSeries = 2000;

    private static readonly double[] s_defaultBounds = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    private readonly ConcurrentDictionary<LabelSet, Series> _series = new();
    private volatile Series? _last;

    public MetricFamily(Instrument instrument)
    {
        Name = instrument.Name;
        Help = instrument.Description ?? "";
        var type = instrument.GetType().GetGenericTypeDefinition();
        Kind = type == typeof(Histogram<>) ? FamilyKind.Histogram
            : type == typeof(Counter<>) || type == typeof(ObservableCounter<>) ? FamilyKind.Counter
            : FamilyKind.Gauge;
        IsObserved = instrument.IsObservable;
        IsUpDown = type == typeof(UpDownCounter<>);
        Bounds = Kind != FamilyKind.Histogram ? [] : (instrument as Histogram<double>)?.Advice?.HistogramBucketBoundaries?.ToArray() ?? s_defaultBounds;
    }

    public string Name { get; }

    public string Help { get; }

    public FamilyKind Kind { get; }

    public double[] Bounds { get; }

    /// <summary>Whether its values are read at scrape time and replace the ones before.</summary>
    public bool IsObserved { get; }

    public IEnumerable<Series> All => _series.Values;

    private bool IsUpDown { get; }

    /// <summary>Forgets all series, so that observed ones that are gone do not linger.</summary>
    public void Clear()
    {
        _last = null;
        _series.Clear();
    }

    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var series = _last is { } last && last.Labels.IsSame(tags) ? last : Find(tags);
        if (Kind == FamilyKind.Histogram)
        {
            series.Observe(value);
        }
        else if (IsObserved || (Kind == FamilyKind.Gauge && !IsUpDown))
        {
            series.Set(value);
        }
        else
        {
            series.Add(value);
        }
    }

    private Series Find(ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = new LabelSet(tags);
        if (!_series.TryGetValue(labels, out var series))
        {
            labels = _series.Count < MostSeries ? labels : labels.AsOther();
            series = _series.GetOrAdd(labels, static (key, bounds) => new Series(key, bounds), Bounds);
        }

        _last = series;
        return series;
    }
}
