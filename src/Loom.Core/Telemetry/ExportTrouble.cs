using System.Diagnostics.Tracing;
using Microsoft.Extensions.Logging;

namespace Loom.Core.Telemetry;

/// <summary>The exporter tells its failures to an event source that nobody reads; this says so in the log, at most once a minute.</summary>
internal sealed partial class ExportTrouble : EventListener
{
    private const string Exporter = "OpenTelemetry-Exporter-OpenTelemetryProtocol";
    private static readonly TimeSpan s_quiet = TimeSpan.FromMinutes(1);

    private readonly Uri? _endpoint;
    private readonly TimeProvider? _time;
    private readonly ILogger? _logger;
    private readonly Lock _gate = new();
    private long? _told;

    public ExportTrouble(Uri endpoint, TimeProvider time, ILogger logger)
    {
        _endpoint = endpoint;
        _time = time;
        _logger = logger;
    }

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name == Exporter)
        {
            EnableEvents(eventSource, EventLevel.Warning);
        }
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        // The base class may call before this constructor has run.
        if (_time is null || _logger is null || !IsNews(_time))
        {
            return;
        }

        // Exceptions come with their stacks; what happened is in the first line.
        LogTrouble(_logger, _endpoint!, string.Join(' ', (eventData.Payload ?? []).Select(part => part?.ToString()?.Split('\n')[0].TrimEnd())));
    }

    private bool IsNews(TimeProvider time)
    {
        lock (_gate)
        {
            if (_told is { } told && time.GetElapsedTime(told) < s_quiet)
            {
                return false;
            }

            _told = time.GetTimestamp();
            return true;
        }
    }

    [LoggerMessage(EventId = 120, Level = LogLevel.Warning, Message = "telemetry cannot be sent to {Endpoint} (telemetry.otlp_endpoint, OTEL_EXPORTER_OTLP_ENDPOINT); work goes on without it: {Reason}")]
    private static partial void LogTrouble(ILogger logger, Uri endpoint, string reason);
}
