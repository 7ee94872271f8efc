using System.Globalization;
using Loom.Harness.Execution;
using Loom.Harness.Tests.Matching;

namespace Loom.Harness.Tests.Running;

/// <summary>The numbers of a run by the names they have as metrics.</summary>
internal static class TestMetrics
{
    /// <summary>Whether a metric has its value, summed over everything that has the labels asked for; null when it has.</summary>
    public static Difference? Compare(ExpectedMetric expected, SystemAssembly assembly)
    {
        var all = Of(assembly).ToList();
        var named = all.Where(m => m.Name == expected.Name).ToList();
        if (named.Count == 0)
        {
            return new Difference(expected.Place, $"metrics: there is no {expected.Name} here (there are {string.Join(", ", all.Select(m => m.Name).Distinct().Order(StringComparer.Ordinal))})");
        }

        var value = named.Where(m => expected.Labels.All(l => m.Labels.Any(o => o.Name == l.Key && o.Value == l.Value))).Sum(m => m.Value);
        return value == expected.Value ? null : new Difference(expected.Place, $"metrics: {expected.Text}", Text(expected.Value), Text(value));
    }

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);

    private static IEnumerable<Metric> Of(SystemAssembly assembly)
    {
        foreach (var c in RunSnapshot.Of(assembly).Components)
        {
            yield return new("items_total", c.Done - c.Filtered, [("component", c.Name), ("outcome", "done")]);
            yield return new("items_total", c.Filtered, [("component", c.Name), ("outcome", "filtered")]);
            yield return new("items_total", c.Failed, [("component", c.Name), ("outcome", "dead_lettered")]);
            yield return new("emitted_total", c.Emitted, [("component", c.Name)]);
            yield return new("dead_letters_total", c.Failed, [("component", c.Name)]);
            yield return new("restarts_total", c.Restarts, [("component", c.Name)]);
        }

        foreach (var (component, links) in assembly.Links)
        {
            foreach (var (capability, counters) in links.Counters)
            {
                yield return new("capability_calls_total", counters.Calls, [("component", component), ("capability", capability), ("outcome", "called")]);
                yield return new("capability_calls_total", counters.Failures, [("component", component), ("capability", capability), ("outcome", "failed")]);
                yield return new("capability_calls_total", counters.Waits, [("component", component), ("capability", capability), ("outcome", "waited")]);
            }
        }
    }

    private sealed record Metric(string Name, double Value, (string Name, string Value)[] Labels);
}
