using System.Buffers;
using System.Globalization;
using System.Text;

namespace Loom.Core.Telemetry;

/// <summary>Writes families as Prometheus text.</summary>
internal sealed class PrometheusText(IBufferWriter<byte> output)
{
    public void Family(MetricFamily family)
    {
        var series = family.All.OrderBy(s => string.Join('\0', Values(s.Labels)), StringComparer.Ordinal).ToList();
        if (series.Count == 0)
        {
            return;
        }

        Line($"# HELP {family.Name} {family.Help.Replace("\\", "\\\\", StringComparison.Ordinal).ReplaceLineEndings("\\n")}");
        Line($"# TYPE {family.Name} {family.Kind.ToString().ToLowerInvariant()}");
        foreach (var one in series)
        {
            if (family.Kind == FamilyKind.Histogram)
            {
                Histogram(family, one);
            }
            else
            {
                Line($"{family.Name}{Labels(one.Labels)} {Number(one.Value)}");
            }
        }
    }

    private static IEnumerable<string> Values(LabelSet labels) => Enumerable.Range(0, labels.Count).Select(i => labels[i].Value);

    // The total is the sum of the buckets as read here, so that a scrape between two writes is consistent in itself.
    private void Histogram(MetricFamily family, Series series)
    {
        long total = 0;
        for (var i = 0; i < family.Bounds.Length; i++)
        {
            total += series.BucketCount(i);
            Line($"{family.Name}_bucket{Labels(series.Labels, Number(family.Bounds[i]))} {total.ToString(CultureInfo.InvariantCulture)}");
        }

        total += series.BucketCount(family.Bounds.Length);
        Line($"{family.Name}_bucket{Labels(series.Labels, "+Inf")} {total.ToString(CultureInfo.InvariantCulture)}");
        Line($"{family.Name}_sum{Labels(series.Labels)} {Number(series.Value)}");
        Line($"{family.Name}_count{Labels(series.Labels)} {total.ToString(CultureInfo.InvariantCulture)}");
    }

    private static string Labels(LabelSet labels, string? bound = null)
    {
        if (labels.Count == 0 && bound is null)
        {
            return "";
        }

        var text = new StringBuilder("{");
        for (var i = 0; i < labels.Count; i++)
        {
            text.Append(i > 0 ? "," : "").Append(labels[i].Key).Append("=\"").Append(PrometheusExporter.Escape(labels[i].Value)).Append('"');
        }

        if (bound is not null)
        {
            text.Append(labels.Count > 0 ? "," : "").Append("le=\"").Append(bound).Append('"');
        }

        return text.Append('}').ToString();
    }

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private void Line(string line)
    {
        Encoding.UTF8.GetBytes(line, output);
        output.Write("\n"u8);
    }
}
