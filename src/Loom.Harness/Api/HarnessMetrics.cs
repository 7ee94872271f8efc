using System.Buffers;
using System.Diagnostics.Metrics;
using Loom.Core.Telemetry;
using Loom.Harness.Execution;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Api;

/// <summary>
/// What a running system measures, as instruments: <c>/metrics</c> and the OTLP export read them. All but the distributions are read from one snapshot when somebody asks.
/// Labels are names from the system's files and words of short lists, never keys or ids.
/// </summary>
internal sealed class HarnessMetrics : IMetricsPage, IDisposable
{
    // Instruments of one reading show the same moment.
    private static readonly TimeSpan s_sameReading = TimeSpan.FromMilliseconds(100);

    private readonly Meter _meter;
    private readonly PrometheusExporter _exporter;
    private readonly SystemAssembly _assembly;
    private readonly HashSet<string> _own = new(StringComparer.Ordinal);
    private readonly List<IDistribution> _distributions = [];
    private readonly Lock _lock = new();
    private volatile Reading? _reading;

    public HarnessMetrics(SystemExecutionHarness harness)
    {
        _assembly = harness.Assembly;
        _meter = new Meter("Loom.Harness", null, [new("system", _assembly.Plan.Name)]);
        _exporter = new PrometheusExporter(meter => ReferenceEquals(meter, _meter));
        foreach (var metric in SystemMetrics.All)
        {
            Observe(metric.Name, metric.Kind, metric.Help, () => metric.Read(Now()));
        }

        foreach (var distribution in Distribution.All)
        {
            Record(distribution);
        }
    }

    /// <summary>Makes instruments for what components have defined since.</summary>
    public void FindOwn()
    {
        lock (_lock)
        {
            foreach (var (name, isCounter) in ComponentMetrics.Names(Now()).Where(n => _own.Add(n.Name)))
            {
                Observe(SystemMetrics.OwnPrefix + name, isCounter ? MetricKind.Counter : MetricKind.Gauge, "Defined by a component.", () => ComponentMetrics.Read(name, Now()));
            }
        }
    }

    public Task WriteAsync(IBufferWriter<byte> output, CancellationToken cancellationToken)
    {
        FindOwn();
        return _exporter.WriteAsync(output, cancellationToken);
    }

    public void Dispose()
    {
        foreach (var values in _distributions)
        {
            values.Observed = null;
        }

        _exporter.Dispose();
        _meter.Dispose();
    }

    private MetricView Now()
    {
        var time = _assembly.Materials.Time;
        if (_reading is not { } reading || time.GetElapsedTime(reading.At) > s_sameReading)
        {
            _reading = reading = new Reading(new MetricView(_assembly), time.GetTimestamp());
        }

        return reading.View;
    }

    private void Observe(string name, MetricKind kind, string help, Func<IEnumerable<MetricPoint>> read)
    {
        IEnumerable<Measurement<double>> All() => read().Select(p => new Measurement<double>(p.Value, p.Labels));
        if (kind == MetricKind.Counter)
        {
            _meter.CreateObservableCounter(SystemMetrics.Prefix + name, All, description: help);
        }
        else
        {
            _meter.CreateObservableGauge(SystemMetrics.Prefix + name, All, description: help);
        }
    }

    private void Record(Distribution distribution)
    {
        var histogram = _meter.CreateHistogram<double>(
            SystemMetrics.Prefix + distribution.Name, distribution.Unit, distribution.Help, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = distribution.Bounds });
        foreach (var (values, labels) in distribution.Series(_assembly))
        {
            values.Observed = value => histogram.Record(value, labels);
            _distributions.Add(values);
        }
    }

    private sealed record Reading(MetricView View, long At);
}
