using Loom.Harness.Alerts;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Telemetry;

/// <summary>Looks at a run every second: takes samples for conditions over metrics, then looks at its alerts. Nothing it meets stops the system.</summary>
/// <param name="metrics">What it feeds.</param>
/// <param name="alerts">What it looks at.</param>
/// <param name="time">Clock.</param>
/// <param name="log">Told once of a look that failed.</param>
internal sealed partial class SystemMonitor(MetricHistory metrics, AlertMonitor alerts, TimeProvider time, ILogger log)
{
    private bool _failed;

    /// <summary>Metrics of the run for expressions.</summary>
    public MetricHistory Metrics => metrics;

    public AlertMonitor Alerts => alerts;

    /// <summary>Looks until it is cancelled, and a last time then: what happened in a short run counts too.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        alerts.Watch();
        try
        {
            while (true)
            {
                Look();
                await Task.Delay(MetricHistory.Every, time, ct).ConfigureAwait(false);
            }
        }
        finally
        {
            Look();
        }
    }

    private void Look()
    {
        try
        {
            metrics.Sample();
            alerts.Look();
        }
        catch (Exception e)
        {
            if (!_failed)
            {
                _failed = true;
                LogFailed(log, e);
            }
        }
    }

    [LoggerMessage(EventId = 4603, Level = LogLevel.Error, Message = "the monitor of the system failed; it goes on every second, and this is said once")]
    private static partial void LogFailed(ILogger logger, Exception error);
}
