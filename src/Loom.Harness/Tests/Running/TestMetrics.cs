using System.Globalization;
using Loom.Harness.Execution;
using Loom.Harness.Telemetry;
using Loom.Harness.Tests.Matching;

namespace Loom.Harness.Tests.Running;

/// <summary>The metrics of a run, by the names and labels they have everywhere.</summary>
internal static class TestMetrics
{
    /// <summary>Whether a metric has its value, summed over everything that has the labels asked for; null when it has.</summary>
    public static Difference? Compare(ExpectedMetric expected, SystemAssembly assembly)
    {
        var series = SystemMetrics.Read(expected.Name, new MetricView(assembly)).ToList();
        if (series.Count == 0 && !SystemMetrics.Names.Contains(expected.Name, StringComparer.Ordinal))
        {
            return new Difference(expected.Place, $"metrics: there is no {expected.Name} here (there are {string.Join(", ", SystemMetrics.Names.Order(StringComparer.Ordinal))}, and {SystemMetrics.OwnPrefix}NAME of what components define)");
        }

        var fitting = series.Where(m => m.Has(expected.Labels)).ToList();
        var value = fitting.Sum(m => m.Value);
        return value == expected.Value ? null
            : new Difference(expected.Place, $"metrics: {expected.Text}{(fitting.Count == 0 ? $": nothing has these labels{Labels(series)}" : "")}", Text(expected.Value), Text(value));
    }

    private static string Labels(List<MetricPoint> series) =>
        series.Count == 0 || series[0].Labels.Length == 0 ? "" : $" (it has {string.Join(", ", series[0].Labels.Select(l => l.Key))})";

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);
}
