using System.Buffers;
using System.Diagnostics.Metrics;
using Loom.Core.Telemetry;
using Loom.Harness.Execution;

namespace Loom.Harness.Api;

/// <summary>What a running system measures, read from its snapshot when somebody asks. Labels are names from the system's files, never keys or ids.</summary>
internal sealed class HarnessMetrics : IMetricsPage, IDisposable
{
    private readonly Meter _meter = new("Loom.Harness");
    private readonly PrometheusExporter _exporter;

    public HarnessMetrics(SystemExecutionHarness harness)
    {
        var assembly = harness.Assembly;
        _exporter = new PrometheusExporter(meter => ReferenceEquals(meter, _meter));
        RunSnapshot Now() => RunSnapshot.Of(assembly);
        Counter("loom_harness_items_total", "Events a component handled, by what became of them.", () => Now().Components.SelectMany(Items));
        Counter("loom_harness_restarts_total", "Times a component was set up again.", () => Now().Components.Select(c => Of(c.Restarts, c.Name)));
        Gauge("loom_harness_component_state", "1 for the state a component is in.", () => Now().Components.Select(c => Of(1, c.Name, ("state", StateName(c.State)))));
        Gauge("loom_harness_stream_depth", "Events in a stream.", () => Now().Streams.Select(s => OfStream(s.Depth, s.Name)));
        Gauge("loom_harness_stream_capacity", "Events a stream may hold.", () => Now().Streams.Select(s => OfStream(s.Capacity, s.Name)));
        Seconds("loom_harness_stream_blocked_seconds_total", "Time the writer of a stream waited for room.", () => Now().Streams.Select(s => OfStream(s.Blocked.TotalSeconds, s.Name)));
        Seconds("loom_harness_stream_starved_seconds_total", "Time the reader of a stream waited for an event.", () => Now().Streams.Select(s => OfStream(s.Starved.TotalSeconds, s.Name)));
        Counter("loom_harness_capability_calls_total", "Calls of a capability, by outcome.", () => Capabilities(assembly));
        Counter("loom_harness_dead_letters_total", "Events that went to the dead letter.", () => [new Measurement<long>(harness.DeadLetters.Taken)]);
        Counter("loom_harness_checkpoint_failures_total", "Checkpoints that were abandoned.", () => [new Measurement<long>(Now().Checkpoints?.Failed ?? 0)]);
        Counter("loom_harness_checkpoints_total", "Checkpoints that are complete.", () => [new Measurement<long>(Now().Checkpoints?.Taken ?? 0)]);
        GaugeOf("loom_harness_checkpoint_seconds", "Duration of the last complete checkpoint.", () => [new Measurement<double>(Now().Checkpoints?.LastDuration.TotalSeconds ?? 0)]);
        Gauge("loom_harness_checkpoint_bytes", "State in the last complete checkpoint.", () => [new Measurement<long>(Now().Checkpoints?.Last?.Bytes ?? 0)]);
    }

    public Task WriteAsync(IBufferWriter<byte> output, CancellationToken cancellationToken) => _exporter.WriteAsync(output, cancellationToken);

    public void Dispose()
    {
        _exporter.Dispose();
        _meter.Dispose();
    }

    /// <summary>A state as it is written everywhere.</summary>
    public static string StateName(ComponentState state) => System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(state.ToString());

    private static IEnumerable<Measurement<long>> Items(ComponentSnapshot c) =>
    [
        Of(c.Done - c.Filtered, c.Name, ("outcome", "done")), Of(c.Filtered, c.Name, ("outcome", "filtered")), Of(c.Failed, c.Name, ("outcome", "dead_lettered")),
        Of(c.Unbound, c.Name, ("outcome", "unbound")),
    ];

    private static IEnumerable<Measurement<long>> Capabilities(SystemAssembly assembly)
    {
        foreach (var (component, links) in assembly.Links)
        {
            foreach (var (capability, counters) in links.Counters)
            {
                yield return Of(counters.Calls, component, ("capability", capability), ("outcome", "called"));
                yield return Of(counters.Failures, component, ("capability", capability), ("outcome", "failed"));
                yield return Of(counters.Waits, component, ("capability", capability), ("outcome", "waited"));
            }
        }
    }

    private static Measurement<long> Of(long value, string component, params (string Name, string Value)[] more) =>
        new(value, [new("component", component), .. more.Select(m => KeyValuePair.Create(m.Name, (object?)m.Value))]);

    private static Measurement<long> OfStream(long value, string stream) => new(value, new KeyValuePair<string, object?>("stream", stream));

    private static Measurement<double> OfStream(double value, string stream) => new(value, new KeyValuePair<string, object?>("stream", stream));

    private void Counter(string name, string help, Func<IEnumerable<Measurement<long>>> read) => _meter.CreateObservableCounter(name, read, description: help);

    private void Seconds(string name, string help, Func<IEnumerable<Measurement<double>>> read) => _meter.CreateObservableCounter(name, read, "s", help);

    private void Gauge(string name, string help, Func<IEnumerable<Measurement<long>>> read) => _meter.CreateObservableGauge(name, read, description: help);

    private void GaugeOf(string name, string help, Func<IEnumerable<Measurement<double>>> read) => _meter.CreateObservableGauge(name, read, "s", help);
}
