using System.Text.Json;
using Loom.Components;
using Loom.Harness.Execution;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Components.BuiltIns.Control;

/// <summary>Turns conditions over metrics into control operations.</summary>
[Component("rules", Type = ComponentType.Controller,
    Summary = "Sends a control operation when a condition over the system's metrics has come to hold, and another when it has ceased to. Bind its port control to the port control of each component it is to control.")]
internal sealed class RulesController(RulesOptions options) : Controller
{
    private readonly Rule[] _rules = [.. options.Rules.Select(r => new Rule(r.For))];
    private MetricHistory? _metrics;

    /// <inheritdoc />
    protected internal override TimeSpan? Tick => options.Every;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _metrics = (ctx as HostSetupContext)?.SystemMetrics;
        foreach (var rule in options.Rules)
        {
            _metrics?.Watch(rule.When);
        }

        return base.SetupAsync(ctx, ct);
    }

    /// <inheritdoc />
    protected internal override async ValueTask OnTickAsync(DateTimeOffset now, Emitter<JsonElement> output, CancellationToken ct)
    {
        for (var i = 0; i < _rules.Length && _metrics is not null; i++)
        {
            var rule = options.Rules[i];
            var operation = _rules[i].Look(rule.When.Test(_metrics), now) switch
            {
                RuleStep.Do => rule.Do,
                RuleStep.Undo => rule.Undo,
                _ => null,
            };
            if (operation is not null)
            {
                await output.SendAsync(Event(operation.For(rule.Component), now), ct).ConfigureAwait(false);
            }
        }
    }
}
