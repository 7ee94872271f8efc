namespace Loom.Harness.Expressions;

/// <summary>What an expression over metrics is evaluated against: the newest sample and the ones before it.</summary>
internal interface IMetricValues
{
    /// <summary>The newest value of a metric, summed over the series that carry all the labels given.</summary>
    /// <param name="metric">Its name without the prefix <c>loom_harness_</c>.</param>
    /// <param name="labels">Empty for all series.</param>
    /// <param name="value">The sum.</param>
    /// <returns>False when no series is there yet.</returns>
    bool TryRead(string metric, IReadOnlyDictionary<string, string> labels, out double value);

    /// <summary>A value made from the samples of the last <paramref name="window"/>.</summary>
    /// <returns>False when there are too few samples.</returns>
    bool TryWindow(MetricWindow function, string metric, IReadOnlyDictionary<string, string> labels, TimeSpan window, out double value);
}

/// <summary>What can be made of the samples of a window.</summary>
internal enum MetricWindow
{
    /// <summary>Increase of a counter per second.</summary>
    Rate,

    /// <summary>Mean of a value.</summary>
    Avg,

    /// <summary>Smallest value.</summary>
    Min,

    /// <summary>Largest value.</summary>
    Max,
}

/// <summary>A window of time over a metric; equal when metric, labels and length are.</summary>
/// <param name="Metric">Without the prefix.</param>
/// <param name="Labels">What its series carry; empty for all series.</param>
/// <param name="Length">How far it reaches back.</param>
internal sealed record MetricQuery(string Metric, IReadOnlyDictionary<string, string> Labels, TimeSpan Length)
{
    public bool Equals(MetricQuery? other) =>
        other is not null && Metric == other.Metric && Length == other.Length && Labels.Count == other.Labels.Count && Labels.All(l => other.Labels.TryGetValue(l.Key, out var value) && value == l.Value);

    public override int GetHashCode() => HashCode.Combine(Metric, Length, Labels.Count);
}
