using Loom.Harness.Expressions;
using Loom.Harness.Telemetry;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Alerts;

/// <summary>How an alert stands at one moment.</summary>
internal sealed record AlertStatus(AlertRule Rule, AlertState State, DateTimeOffset? Since, long Fired);

/// <summary>Looks at a run each time it is told to, and tells of every alert that fires or is over. What goes wrong with one alert stops neither the others nor the system.</summary>
/// <param name="rules">The alerts.</param>
/// <param name="metrics">What their conditions are over.</param>
/// <param name="time">Clock.</param>
/// <param name="log">Where alerts are told, too.</param>
internal sealed partial class AlertMonitor(IReadOnlyList<AlertRule> rules, MetricHistory metrics, TimeProvider time, ILogger log)
{
    private readonly List<AlertTracker> _trackers = [.. rules.Select(r => new AlertTracker(r))];
    private readonly HashSet<string> _broken = new(StringComparer.Ordinal);
    private volatile IReadOnlyList<AlertStatus> _status = [.. rules.Select(r => new AlertStatus(r, AlertState.Inactive, null, 0))];

    /// <summary>Told of each change, on the thread that looks; returns at once.</summary>
    public Action<AlertChange> Changed { get; set; } = static _ => { };

    /// <summary>All alerts as they stood at the last look.</summary>
    public IReadOnlyList<AlertStatus> Status => _status;

    /// <summary>Begins to keep what the conditions need.</summary>
    public void Watch()
    {
        foreach (var rule in rules)
        {
            metrics.Watch(rule.Condition);
        }
    }

    /// <summary>Takes over what fired when the run before came to no good end; said before the first look. What is none of the system's alerts any more is over.</summary>
    public void Resume(IReadOnlyList<FiringAlert> firing)
    {
        foreach (var alert in firing)
        {
            if (_trackers.Find(t => t.Rule.Name == alert.Name) is { } tracker)
            {
                tracker.Resume(alert.Since);
            }
            else if (alert.Rule() is { } gone)
            {
                Tell(new AlertChange(gone, Fires: false, alert.Since, time.GetUtcNow(), Reason: "no longer an alert"));
            }
        }

        Show();
    }

    /// <summary>Looks once.</summary>
    public void Look()
    {
        var now = time.GetUtcNow();
        foreach (var tracker in _trackers)
        {
            Tell(tracker.Observe(Holds(tracker.Rule.Name, tracker.Rule.Condition), now));
        }

        Show();
    }

    /// <summary>The run has ended in order and nobody looks any more: what fires is over.</summary>
    /// <param name="reason">How it ended.</param>
    public void End(string reason)
    {
        var now = time.GetUtcNow();
        foreach (var tracker in _trackers)
        {
            Tell(tracker.End(now, reason));
        }

        Show();
    }

    private void Show() => _status = [.. _trackers.Select(t => new AlertStatus(t.Rule, t.State, t.Since, t.Fired))];

    private void Tell(AlertChange? change)
    {
        if (change is null)
        {
            return;
        }

        if (change.Fires)
        {
            LogFires(log, change.Rule.Severity == AlertSeverity.Critical ? LogLevel.Error : LogLevel.Warning, change.Rule.Name, change.Rule.Condition.Text);
        }
        else
        {
            LogOver(log, change.Rule.Name, (change.At - change.Since).TotalSeconds);
        }

        Changed(change);
    }

    private bool Holds(string alert, MetricExpression condition)
    {
        try
        {
            return condition.Test(metrics) == true;
        }
        catch (Exception e)
        {
            if (_broken.Add(alert))
            {
                LogBroken(log, alert, e);
            }

            return false;
        }
    }

    [LoggerMessage(EventId = 4600, Message = "alert {Alert} fires: {Condition}")]
    private static partial void LogFires(ILogger logger, LogLevel level, string alert, string condition);

    [LoggerMessage(EventId = 4601, Level = LogLevel.Information, Message = "alert {Alert} is over after {Seconds:0} s")]
    private static partial void LogOver(ILogger logger, string alert, double seconds);

    [LoggerMessage(EventId = 4602, Level = LogLevel.Error, Message = "alert {Alert} could not be worked out and does not fire meanwhile")]
    private static partial void LogBroken(ILogger logger, string alert, Exception error);
}
