using System.Buffers;
using System.Diagnostics.Metrics;
using System.Text;
using Loom.Core.Telemetry;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Telemetry;

public sealed class PrometheusExporterTests
{
    [Fact]
    public void Write_CounterGaugeHistogram_IsPrometheusText()
    {
        using var meter = new Meter("test");
        using var exporter = new PrometheusExporter(m => ReferenceEquals(m, meter));
        var counter = meter.CreateCounter<long>("jobs_total", description: "Jobs done.\nAll of them.");
        var histogram = meter.CreateHistogram("job_seconds", "s", "Time.", null, new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.1, 1] });
        meter.CreateObservableGauge("depth", () => 3, description: "Now.");

        counter.Add(2, new KeyValuePair<string, object?>("pool", "a\"b\\c\n"));
        counter.Add(1, new KeyValuePair<string, object?>("pool", "a\"b\\c\n"));
        histogram.Record(0.05);
        histogram.Record(0.5);
        histogram.Record(5);

        Text(exporter).ShouldBe("""
            # HELP depth Now.
            # TYPE depth gauge
            depth 3
            # HELP job_seconds Time.
            # TYPE job_seconds histogram
            job_seconds_bucket{le="0.1"} 1
            job_seconds_bucket{le="1"} 2
            job_seconds_bucket{le="+Inf"} 3
            job_seconds_sum 5.55
            job_seconds_count 3
            # HELP jobs_total Jobs done.\nAll of them.
            # TYPE jobs_total counter
            jobs_total{pool="a\"b\\c\n"} 3

            """);
    }

    [Fact]
    public void Write_ObservedSeriesThatIsGone_IsGone()
    {
        using var meter = new Meter("test");
        using var exporter = new PrometheusExporter(m => ReferenceEquals(m, meter));
        var pools = new List<string> { "a", "b" };
        meter.CreateObservableGauge("up", () => pools.Select(p => new Measurement<int>(1, new KeyValuePair<string, object?>("pool", p))));

        Text(exporter).ShouldContain("up{pool=\"b\"} 1");
        pools.Remove("b");
        Text(exporter).ShouldNotContain("pool=\"b\"");
    }

    [Fact]
    public void Record_TooManySeries_TheRestIsOther()
    {
        using var meter = new Meter("test");
        using var exporter = new PrometheusExporter(m => ReferenceEquals(m, meter));
        var counter = meter.CreateCounter<long>("wild_total");

        for (var i = 0; i < 2500; i++)
        {
            counter.Add(1, new KeyValuePair<string, object?>("id", $"{i}"));
        }

        var lines = Text(exporter).Split('\n');
        lines.Count(l => l.StartsWith("wild_total{", StringComparison.Ordinal)).ShouldBe(2001);
        lines.ShouldContain("wild_total{id=\"other\"} 500");
    }

    [Fact]
    public void Record_ForeignMeter_IsNotCollected()
    {
        using var meter = new Meter("test");
        using var exporter = new PrometheusExporter(m => ReferenceEquals(m, meter));
        using var other = new Meter("test");

        other.CreateCounter<long>("other_total").Add(1);

        Text(exporter).ShouldBeEmpty();
    }

    private static string Text(PrometheusExporter exporter)
    {
        var buffer = new ArrayBufferWriter<byte>();
        exporter.Write(buffer);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
