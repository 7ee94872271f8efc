using System.Collections.Frozen;
using System.Globalization;
using Loom.Harness.Architecture;
using Loom.Harness.Expressions;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Alerts;

/// <summary>The alerts every system has unasked. An entry of <c>policy.observability.alerts</c> with the same name changes what it mentions and leaves the rest.</summary>
internal static class BuiltInAlerts
{
    /// <summary>What swings about its threshold faster than this is one alert and not many.</summary>
    public static readonly TimeSpan KeepFiringFor = TimeSpan.FromSeconds(30);

    private static readonly FrozenDictionary<string, BuiltIn> s_all = new BuiltIn[]
    {
        new("error_rate", ErrorRate(0.1), TimeSpan.FromSeconds(10), AlertSeverity.Warning),
        new("error_rate_critical", ErrorRate(0.2), TimeSpan.FromSeconds(10), AlertSeverity.Critical),
        new("memory", "memory_bytes > 1000.0 * 1024 * 1024", TimeSpan.FromSeconds(10), AlertSeverity.Warning) { Limited = "memory_limit_ratio > 0.9" },
        new("memory_critical", "memory_bytes > 2000.0 * 1024 * 1024", TimeSpan.FromSeconds(10), AlertSeverity.Critical) { Limited = "memory_limit_ratio > 1.0" },
        new("cpu", "cpu_ratio > 0.8", TimeSpan.FromMinutes(5), AlertSeverity.Warning),
        new("breaker_open", "breaker_open > 0", TimeSpan.Zero, AlertSeverity.Warning),
        new("component_failed", "value(component_state, {\"state\": \"failed\"}) > 0", TimeSpan.Zero, AlertSeverity.Critical),
        new("component_paused", "value(component_state, {\"state\": \"paused\"}) > 0", TimeSpan.Zero, AlertSeverity.Warning),
        new("stalled", Number("stalled_seconds > ", Api.SystemHealth.StalledAfter.TotalSeconds), TimeSpan.Zero, AlertSeverity.Critical),
        new("checkpoint_failing", "checkpoint_failing > 0", TimeSpan.Zero, AlertSeverity.Warning),
        new("checkpoint_late", "checkpoint_age_intervals > 3", TimeSpan.Zero, AlertSeverity.Warning),
        new("dead_letters", "dead_letters_total > 100", TimeSpan.Zero, AlertSeverity.Warning),
        new("dead_letters_unwritable", "dead_letters_unwritable > 0", TimeSpan.Zero, AlertSeverity.Critical),
        new("state_in_memory", "state_in_memory > 0", TimeSpan.Zero, AlertSeverity.Warning),
        new("disk", "disk_free_ratio < 0.05", TimeSpan.Zero, AlertSeverity.Critical),
    }.ToFrozenDictionary(b => b.Name, StringComparer.Ordinal);

    /// <summary>Whether there is one of this name, so that an entry need not say an expression.</summary>
    public static bool Has(string name) => s_all.ContainsKey(name);

    /// <summary>All alerts of a system: the built-in ones as its policy changes them, then its own.</summary>
    public static IReadOnlyList<AlertRule> For(PolicyPlan policy)
    {
        var asked = policy.Alerts.ToDictionary(a => a.Name, StringComparer.Ordinal);
        var builtIn = s_all.Values.OrderBy(b => b.Name, StringComparer.Ordinal).Select(b => (Plan: asked.GetValueOrDefault(b.Name), BuiltIn: b)).Where(b => b.Plan is not { Enabled: false }).Select(b => new AlertRule(
            b.BuiltIn.Name,
            MetricExpression.Compile(b.Plan?.Expression ?? (policy.MaxMemoryMb is null ? b.BuiltIn.Expression : b.BuiltIn.Limited ?? b.BuiltIn.Expression), SystemMetrics.Names),
            b.Plan?.For ?? b.BuiltIn.For,
            b.Plan?.KeepFiringFor ?? KeepFiringFor,
            b.Plan?.Severity ?? b.BuiltIn.Severity,
            b.Plan?.Webhook,
            BuiltIn: true));
        var own = policy.Alerts.Where(a => a.Enabled && !Has(a.Name)).Select(a => new AlertRule(
            a.Name, MetricExpression.Compile(a.Expression!, SystemMetrics.Names), a.For ?? TimeSpan.Zero, a.KeepFiringFor ?? KeepFiringFor, a.Severity ?? AlertSeverity.Warning, a.Webhook, BuiltIn: false));
        return [.. builtIn, .. own];
    }

    // Of the events that came to an end; with fewer than ten failures there is no rate to speak of.
    private static string ErrorRate(double share) =>
        string.Create(CultureInfo.InvariantCulture, $"rate(finished_total, \"1m\", {{\"outcome\": \"dead_lettered\"}}) > {share} * rate(finished_total, \"1m\") && value(finished_total, {{\"outcome\": \"dead_lettered\"}}) >= 10");

    private static string Number(string text, double number) => text + number.ToString(CultureInfo.InvariantCulture);

    private sealed record BuiltIn(string Name, string Expression, TimeSpan For, AlertSeverity Severity)
    {
        // Where policy.resource_limits.max_memory_mb is set, its share counts instead of a figure that knows nothing of the machine.
        public string? Limited { get; init; }
    }
}
