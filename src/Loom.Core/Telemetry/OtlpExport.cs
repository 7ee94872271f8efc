using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Loom.Core.Telemetry;

/// <summary>
/// Sends what Loom's meters, activity sources and log say to an OTLP collector. A collector that cannot be reached costs a warning and never more: it stops no
/// start, no request and no end.
/// </summary>
public sealed class OtlpExport : IDisposable
{
    private const string AllOfLoom = "Loom.*";
    private const int TimeoutMs = 2000;

    private readonly TracerProvider _traces;
    private readonly MeterProvider _metrics;
    private readonly ILoggerFactory _logs;
    private readonly ExportTrouble _trouble;

    private OtlpExport(TracerProvider traces, MeterProvider metrics, ILoggerFactory logs, ExportTrouble trouble)
    {
        _traces = traces;
        _metrics = metrics;
        _logs = logs;
        _trouble = trouble;
    }

    /// <summary>Begins to export. Connects to nothing before there is something to say.</summary>
    /// <param name="options">Where to.</param>
    /// <param name="time">Clock of the limit on warnings.</param>
    /// <param name="logger">Where trouble with the collector is told, at most once a minute.</param>
    public static OtlpExport Start(OtlpOptions options, TimeProvider time, ILogger logger)
    {
        var resource = ResourceBuilder.CreateDefault().AddService(options.Service, serviceVersion: options.Version, serviceInstanceId: options.Instance);
        var traces = Sdk.CreateTracerProviderBuilder()
            .SetResourceBuilder(resource)
            .AddSource(AllOfLoom)
            .AddOtlpExporter(o => Aim(o, options, "traces"))
            .Build();
        var metrics = Sdk.CreateMeterProviderBuilder()
            .SetResourceBuilder(resource)
            .AddMeter(AllOfLoom)
            .AddOtlpExporter((o, reader) =>
            {
                Aim(o, options, "metrics");
                reader.PeriodicExportingMetricReaderOptions.ExportIntervalMilliseconds = (int)options.MetricsEvery.TotalMilliseconds;
                reader.PeriodicExportingMetricReaderOptions.ExportTimeoutMilliseconds = TimeoutMs;
            })
            .Build();
        var logs = LoggerFactory.Create(builder => builder
            .SetMinimumLevel(LogLevel.Trace)
            .AddOpenTelemetry(o =>
            {
                o.SetResourceBuilder(resource);
                o.IncludeFormattedMessage = true;
                o.AddOtlpExporter(e => Aim(e, options, "logs"));
            }));
        return new OtlpExport(traces, metrics, logs, new ExportTrouble(options.Endpoint, time, logger));
    }

    /// <summary>Exports one line of the log.</summary>
    /// <param name="level">Its level.</param>
    /// <param name="category">Who speaks.</param>
    /// <param name="id">Its event.</param>
    /// <param name="message">What is said, secrets already masked.</param>
    /// <param name="fields">Its named values, secrets already masked.</param>
    public void Log(LogLevel level, string category, EventId id, string message, IReadOnlyList<KeyValuePair<string, object?>> fields) =>
        _logs.CreateLogger(category).Log(level, id, fields, null, (_, _) => message);

    /// <summary>Sends the metrics as they are now, for two seconds at most and, failing that, two more: for an end after which nobody can ask their instruments any more.</summary>
    /// <returns>Whether the collector took them.</returns>
    public bool SendMetrics() => _metrics.ForceFlush(TimeoutMs) || _metrics.ForceFlush(TimeoutMs); // on a busy machine one attempt can run out of time

    /// <summary>Sends what is left, for two seconds at most, and stops.</summary>
    public void Dispose()
    {
        _traces.Shutdown(TimeoutMs);
        _metrics.Shutdown(TimeoutMs);
        _traces.Dispose();
        _metrics.Dispose();
        _logs.Dispose();
        _trouble.Dispose();
    }

    private static void Aim(OtlpExporterOptions exporter, OtlpOptions options, string signal)
    {
        exporter.Endpoint = options.AddressOf(signal);
        exporter.Protocol = options.Protocol == OtlpProtocol.Http ? OtlpExportProtocol.HttpProtobuf : OtlpExportProtocol.Grpc;
        exporter.TimeoutMilliseconds = TimeoutMs;
    }
}
