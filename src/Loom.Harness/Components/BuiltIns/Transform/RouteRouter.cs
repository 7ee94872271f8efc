using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.RegularExpressions;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>One way out of <c>route</c>.</summary>
internal sealed record RouteRule
{
    [Description("The output port; several rules may name the same one.")]
    public required string Port { get; init; }

    [Description("Events for which this expression is true leave by the port.")]
    public required Expression When { get; init; }
}

/// <summary>Which of the rules that hold an event follows.</summary>
internal enum RouteMatch
{
    /// <summary>The first.</summary>
    First,

    /// <summary>All of them.</summary>
    All,
}

/// <summary>Settings of <c>route</c>.</summary>
internal sealed partial record RouteOptions : IPortNames, IValidatableObject
{
    [Description("Conditions in order, each with the port it leads to: [{ port: urgent, when: data.priority > 7 }].")]
    public required IReadOnlyList<RouteRule> Rules { get; init; }

    [Description("The output port for events no rule takes. Without it they are item errors with the code unrouted.")]
    public string? Default { get; init; }

    [Description("Whether an event leaves by the first rule that holds or by all of them (once for each port).")]
    public RouteMatch Match { get; init; }

    [Description("What happens with a rule that asks for a field the event lacks: error makes the event an item error, drop passes over the rule, pass takes it as true.")]
    public OnMissing OnMissing { get; init; }

    IReadOnlyList<string>? IPortNames.InputNames => null;

    IReadOnlyList<string>? IPortNames.OutputNames => [.. Rules.Select(r => r.Port).Concat(Default is null ? [] : [Default]).Distinct(StringComparer.Ordinal)];

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Rules.Count == 0)
        {
            yield return new ValidationResult("at least one rule is needed: [{ port: NAME, when: EXPRESSION }]", [nameof(Rules)]);
        }

        foreach (var rule in Rules)
        {
            if (Payloads.NoCondition(rule.When) is { } fault)
            {
                yield return new ValidationResult($"port {rule.Port}: {fault}", [nameof(Rules)]);
            }
        }

        foreach (var port in Rules.Select(r => r.Port).Append(Default ?? "a").Distinct(StringComparer.Ordinal))
        {
            if (!PortName().IsMatch(port) || port is "errors" or "control" or "metrics")
            {
                yield return new ValidationResult($"\"{port}\" cannot name an output: small letters, digits and _, beginning with a letter, and not errors, control or metrics");
            }
        }
    }

    [GeneratedRegex("^[a-z][a-z0-9_]*$", RegexOptions.None, 1000)]
    private static partial Regex PortName();
}

/// <summary>Sends each event to the port its content calls for.</summary>
[Component("route", Type = ComponentType.Router, Summary = "Sends each event, unchanged, to the output port of the first condition that holds (or of all).")]
internal sealed class RouteRouter(RouteOptions options) : Router<JsonElement>
{
    private readonly RouteRule[] _rules = [.. options.Rules];

    protected internal override IReadOnlyList<string> Outputs { get; } = ((IPortNames)options).OutputNames!;

    protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        if (options.Match == RouteMatch.First)
        {
            var rule = Array.Find(_rules, r => Holds(r, e));
            return rule is not null ? output.SendAsync(rule.Port, e, ct) : options.Default is null ? default : output.SendAsync(options.Default, e, ct);
        }

        return AllAsync(e, output, ct);
    }

    private async ValueTask AllAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var ports = Array.FindAll(_rules, r => Holds(r, e)).Select(r => r.Port).Distinct(StringComparer.Ordinal).ToList();
        if (ports.Count == 0 && options.Default is not null)
        {
            ports.Add(options.Default);
        }

        foreach (var port in ports)
        {
            await output.SendAsync(port, e, ct).ConfigureAwait(false);
        }
    }

    private bool Holds(RouteRule rule, in Event<JsonElement> e)
    {
        try
        {
            return rule.When.Test(e);
        }
        catch (ItemException missing) when (missing.Code == "missing_field" && options.OnMissing != OnMissing.Error)
        {
            return options.OnMissing == OnMissing.Pass;
        }
    }
}
