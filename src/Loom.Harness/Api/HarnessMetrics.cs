using System.Buffers;
using System.Diagnostics.Metrics;
using Loom.Core.Telemetry;
using Loom.Harness.Execution;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Api;

/// <summary>
/// What the systems of this process measure, as instruments: <c>/metrics</c> and the OTLP export read them. All but the distributions are read from one snapshot when somebody
/// asks. Labels are names from the systems' files and words of short lists, never keys or ids; the first is the system.
/// </summary>
internal sealed class HarnessMetrics : IMetricsPage, IDisposable
{
    // Instruments of one reading show the same moment.
    private static readonly TimeSpan s_sameReading = TimeSpan.FromMilliseconds(100);

    private readonly Meter _meter = new("Loom.Harness");
    private readonly PrometheusExporter _exporter;
    private readonly Dictionary<string, Histogram<double>> _histograms = new(StringComparer.Ordinal);
    private readonly HashSet<string> _own = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();
    private volatile IReadOnlyList<Watched> _systems = [];
    private volatile bool _isEmpty = true;

    public HarnessMetrics()
    {
        _exporter = new PrometheusExporter(meter => ReferenceEquals(meter, _meter));
        foreach (var metric in SystemMetrics.All)
        {
            Observe(metric.Name, metric.Kind, metric.Help, metric.Read);
        }

        foreach (var distribution in DistributionMetric.All)
        {
            _histograms[distribution.Name] = _meter.CreateHistogram<double>(
                SystemMetrics.Prefix + distribution.Name, distribution.Unit, distribution.Help, tags: null, new InstrumentAdvice<double> { HistogramBucketBoundaries = distribution.Bounds });
        }
    }

    /// <summary>Shows a system until the result is disposed.</summary>
    public IDisposable Show(SystemAssembly assembly)
    {
        var system = new Watched(this, assembly);
        foreach (var distribution in DistributionMetric.All)
        {
            foreach (var (values, labels) in distribution.Series(assembly))
            {
                var histogram = _histograms[distribution.Name];
                KeyValuePair<string, object?>[] all = [system.Label, .. labels];
                values.Observed = value => histogram.Record(value, all);
                system.Distributions.Add(values);
            }
        }

        lock (_lock)
        {
            _systems = [.. _systems, system];
            _isEmpty = false;
        }

        return system;
    }

    public Task WriteAsync(IBufferWriter<byte> output, CancellationToken cancellationToken)
    {
        if (_isEmpty)
        {
            // No system has run: the page of whoever serves it has no use for a hundred families without a value.
            return Task.CompletedTask;
        }

        FindOwn();
        return _exporter.WriteAsync(output, cancellationToken);
    }

    public void Dispose()
    {
        _exporter.Dispose();
        _meter.Dispose();
    }

    // What components define is known once they have; from then on it is exported, too.
    private void FindOwn()
    {
        lock (_lock)
        {
            foreach (var (name, isCounter) in _systems.SelectMany(s => ComponentMetrics.Names(s.Now())).Where(n => _own.Add(n.Name)))
            {
                Observe(SystemMetrics.OwnPrefix + name, isCounter ? MetricKind.Counter : MetricKind.Gauge, "Defined by a component.", view => ComponentMetrics.Read(name, view));
            }
        }
    }

    private void Observe(string name, MetricKind kind, string help, Func<MetricView, IEnumerable<MetricPoint>> read)
    {
        IEnumerable<Measurement<double>> All() => _systems.SelectMany(s => read(s.Now()).Select(p => new Measurement<double>(p.Value, [s.Label, .. p.Labels])));
        if (kind == MetricKind.Counter)
        {
            _meter.CreateObservableCounter(SystemMetrics.Prefix + name, All, description: help);
        }
        else
        {
            _meter.CreateObservableGauge(SystemMetrics.Prefix + name, All, description: help);
        }
    }

    private sealed record Reading(MetricView View, long At);

    private sealed class Watched(HarnessMetrics page, SystemAssembly assembly) : IDisposable
    {
        private volatile Reading? _reading;

        public KeyValuePair<string, object?> Label { get; } = SystemMetrics.Label("system", assembly.Plan.Name);

        public List<IDistribution> Distributions { get; } = [];

        public MetricView Now()
        {
            var time = assembly.Materials.Time;
            if (_reading is not { } reading || time.GetElapsedTime(reading.At) > s_sameReading)
            {
                _reading = reading = new Reading(new MetricView(assembly), time.GetTimestamp());
            }

            return reading.View;
        }

        public void Dispose()
        {
            foreach (var values in Distributions)
            {
                values.Observed = null;
            }

            lock (page._lock)
            {
                page._systems = [.. page._systems.Where(s => s != this)];
            }
        }
    }
}
