using Loom.Harness.Expressions;

namespace Loom.Harness.Alerts;

/// <summary>How bad it is when an alert fires.</summary>
internal enum AlertSeverity
{
    Warning,
    Critical,
}

/// <summary>When an alert fires and who is told.</summary>
/// <param name="Name">Unique in its system.</param>
/// <param name="Condition">Over the metrics of the run; while it cannot be worked out, it does not hold.</param>
/// <param name="For">How long it must hold without a break; zero = at once.</param>
/// <param name="KeepFiringFor">How long it must then not hold without a break until it is over; zero = it is over at once.</param>
/// <param name="Severity">How bad it is.</param>
/// <param name="Webhook">The one webhook that is told; null = all.</param>
/// <param name="BuiltIn">Whether every system has it unasked.</param>
internal sealed record AlertRule(string Name, MetricExpression Condition, TimeSpan For, TimeSpan KeepFiringFor, AlertSeverity Severity, string? Webhook, bool BuiltIn);

/// <summary>What an alert has become.</summary>
/// <param name="Rule">The alert.</param>
/// <param name="Fires">True when it fires from now on, false when it is over.</param>
/// <param name="Since">When its condition began to hold.</param>
/// <param name="At">Now.</param>
/// <param name="Times">How often its condition came to hold since then; more than once when it went and came back too soon to be over.</param>
/// <param name="Reason">Why it is over although its condition may still hold: the run has ended in order, and there is nothing to look after, or it is no alert any more; null otherwise.</param>
internal sealed record AlertChange(AlertRule Rule, bool Fires, DateTimeOffset Since, DateTimeOffset At, long Times = 1, string? Reason = null);
