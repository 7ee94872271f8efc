using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace Loom.Core.Telemetry;

/// <summary>
/// Collects the measurements of some meters and writes them in the Prometheus text format 0.0.4. Instruments carry their final name;
/// at most four labels an instrument, at most 2,000 series a family, the rest is counted as <c>other</c>.
/// </summary>
public sealed class PrometheusExporter : IMetricsPage, IDisposable
{
    /// <summary>Content type of the text.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private readonly ConcurrentDictionary<Instrument, MetricFamily> _families = new();
    private readonly Func<Meter, bool> _collects;
    private readonly MeterListener _listener = new();
    private readonly Lock _scrape = new();

    /// <param name="collects">Which meters are collected. The same name may exist in several runtimes of one process, so compare instances where that matters.</param>
    public PrometheusExporter(Func<Meter, bool> collects)
    {
        _collects = collects;
        _listener.InstrumentPublished = Publish;
        _listener.SetMeasurementEventCallback<double>(static (_, value, tags, family) => ((MetricFamily)family!).Record(value, tags));
        _listener.SetMeasurementEventCallback<long>(static (_, value, tags, family) => ((MetricFamily)family!).Record(value, tags));
        _listener.SetMeasurementEventCallback<int>(static (_, value, tags, family) => ((MetricFamily)family!).Record(value, tags));
        _listener.Start();
    }

    /// <summary>A label's value as it stands between quotes.</summary>
    public static string Escape(string value) =>
        value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);

    /// <summary>Writes all families, by name. Reads observed instruments first.</summary>
    public void Write(IBufferWriter<byte> output)
    {
        lock (_scrape)
        {
            foreach (var family in _families.Values.Where(f => f.IsObserved))
            {
                family.Clear();
            }

            _listener.RecordObservableInstruments();
            var text = new PrometheusText(output);
            foreach (var family in _families.Values.OrderBy(f => f.Name, StringComparer.Ordinal))
            {
                text.Family(family);
            }
        }
    }

    /// <inheritdoc/>
    public Task WriteAsync(IBufferWriter<byte> output, CancellationToken cancellationToken)
    {
        Write(output);
        return Task.CompletedTask;
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private void Publish(Instrument instrument, MeterListener listener)
    {
        if (_collects(instrument.Meter))
        {
            listener.EnableMeasurementEvents(instrument, _families.GetOrAdd(instrument, static i => new MetricFamily(i)));
        }
    }
}
