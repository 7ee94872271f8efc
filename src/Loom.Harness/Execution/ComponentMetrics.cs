using System.Collections.Concurrent;
using Loom.Components;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Execution;

/// <summary>
/// What a component counts of its own accord. Names and labels are made fit for Prometheus, and series are bounded: a key that slips into a label must not fill the memory.
/// </summary>
internal sealed class ComponentMetrics : IComponentMetrics
{
    /// <summary>Series of one component; further label values are counted as <c>other</c>, and further names not at all.</summary>
    public const int MostSeries = 100;

    private const int MostLabels = 2; // a series bears at most four, of which system and component are two
    private const int LongestValue = 64;

    private readonly ConcurrentDictionary<Series, double> _series = new();

    /// <summary>Counters and gauges without labels, by the name the component gave.</summary>
    public IReadOnlyDictionary<string, double> Gauges => _series.Where(s => !s.Key.IsCounter && s.Key.Labels.Length == 0).ToDictionary(s => s.Key.Name, s => s.Value, StringComparer.Ordinal);

    /// <summary>A counter without labels, by the name the component gave; 0 while it has not counted.</summary>
    public long Counted(string name) => _series.TryGetValue(new Series(name, true, []), out var value) ? (long)value : 0;

    public void Count(string name, long by = 1) => Count(name, by, Labelless);

    public void Set(string name, double value) => Set(name, value, Labelless);

    public void Count(string name, long by, IReadOnlyDictionary<string, string> labels)
    {
        if (Find(Clean(name, "_total"), isCounter: true, labels) is { } series)
        {
            _series.AddOrUpdate(series, static (_, n) => n, static (_, old, n) => old + n, (double)by);
        }
    }

    public void Set(string name, double value, IReadOnlyDictionary<string, string> labels)
    {
        // Whoever calls a metric "_total" keeps the count himself.
        if (Find(Clean(name, "_total"), isCounter: name.EndsWith("_total", StringComparison.Ordinal), labels) is { } series)
        {
            _series[series] = value;
        }
    }

    /// <summary>Every family a component of a run defined: its name behind <c>component_</c>, and whether it only grows.</summary>
    public static IEnumerable<(string Name, bool IsCounter)> Names(MetricView view) =>
        view.Hosts.SelectMany(h => h.Loop.Metrics._series.Keys).Select(s => (s.IsCounter ? s.Name + "_total" : s.Name, s.IsCounter)).Distinct();

    /// <summary>The series of a family that components of a run defined.</summary>
    public static IEnumerable<MetricPoint> Read(string name, MetricView view)
    {
        var isCounter = name.EndsWith("_total", StringComparison.Ordinal);
        var bare = isCounter ? name[..^"_total".Length] : name;
        return view.Hosts.SelectMany(h => h.Loop.Metrics._series.Where(s => s.Key.IsCounter == isCounter && s.Key.Name == bare).Select(s =>
            new MetricPoint(s.Value, [SystemMetrics.Label("component", h.Plan.Name), .. s.Key.Labels.Select(l => SystemMetrics.Label(l.Key, l.Value))])));
    }

    private static IReadOnlyDictionary<string, string> Labelless { get; } = new Dictionary<string, string>();

    private Series? Find(string name, bool isCounter, IReadOnlyDictionary<string, string> labels)
    {
        var kept = labels.Count == 0 ? [] : labels.Select(l => KeyValuePair.Create(Clean(l.Key, null), Cut(l.Value))).Where(l => l.Key is not ("component" or "system")).OrderBy(l => l.Key, StringComparer.Ordinal).Take(MostLabels).ToArray();
        var series = new Series(name, isCounter, kept);
        if (_series.Count < MostSeries || _series.ContainsKey(series))
        {
            return series;
        }

        var other = series with { Labels = [.. kept.Select(l => KeyValuePair.Create(l.Key, "other"))] };
        return kept.Length > 0 && (_series.ContainsKey(other) || _series.Keys.Any(s => s.Name == name && s.IsCounter == isCounter)) ? other : null;
    }

    private static string Cut(string value) => value.Length <= LongestValue ? value : value[..LongestValue];

    // Lower case, digits and underscores; never a digit first.
    private static string Clean(string name, string? without)
    {
        name = without is not null && name.EndsWith(without, StringComparison.Ordinal) ? name[..^without.Length] : name;
        var clean = string.Create(name.Length, name, static (to, from) =>
        {
            for (var i = 0; i < to.Length; i++)
            {
                to[i] = char.IsAsciiLetterOrDigit(from[i]) ? char.ToLowerInvariant(from[i]) : '_';
            }
        });
        return clean.Length == 0 || char.IsAsciiDigit(clean[0]) ? "_" + clean : clean;
    }

    private sealed record Series(string Name, bool IsCounter, KeyValuePair<string, string>[] Labels)
    {
        public bool Equals(Series? other) => other is not null && Name == other.Name && IsCounter == other.IsCounter && Labels.AsSpan().SequenceEqual(other.Labels);

        public override int GetHashCode()
        {
            var hash = default(HashCode);
            hash.Add(Name);
            foreach (var (name, value) in Labels)
            {
                hash.Add(name);
                hash.Add(value);
            }

            return hash.ToHashCode();
        }
    }
}
