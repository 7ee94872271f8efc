using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Control;

/// <summary>An operation a rule asks for.</summary>
internal sealed record RuleOperation
{
    [AllowedValues(ControlOperation.Pause, ControlOperation.Resume, ControlOperation.SetRate, ControlOperation.SetConfig)]
    [Description("What is done: pause, resume, set_rate or set_config.")]
    public required string Op { get; init; }

    [Range(0, 1e9)]
    [Description("For set_rate: events a second; 0 lifts the limit.")]
    public double? Rate { get; init; }

    [Range(1, int.MaxValue)]
    [Description("For set_rate: events at once after a pause; left out: a tenth of a second's worth.")]
    public int? Burst { get; init; }

    [Description("For set_config: hot keys of the component and their new values.")]
    public JsonElement? Config { get; init; }

    public ControlOperation For(string? component) => new() { Op = Op, Component = component, Rate = Rate, Burst = Burst, Config = Config };
}

/// <summary>One rule.</summary>
internal sealed record RuleOptions : IValidatableObject
{
    [Description("Condition over metrics of the system, as in an alert: value(stream_depth, {\"stream\": \"a.out->b.in\"}) > 900.")]
    public required MetricExpression When { get; init; }

    [Range(0, 86_400)]
    [Description("How long the condition must hold.")]
    public TimeSpan For { get; init; }

    [Description("Component that is meant, of those bound to the port control; left out: all of them.")]
    public string? Component { get; init; }

    [Description("What is done once when the condition has come to hold.")]
    public required RuleOperation Do { get; init; }

    [Description("What is done once when it has ceased to hold.")]
    public RuleOperation? Undo { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Do.For(null).Fault() is { } wrong)
        {
            yield return new ValidationResult(wrong, [nameof(Do)]);
        }

        if (Undo?.For(null).Fault() is { } undone)
        {
            yield return new ValidationResult(undone, [nameof(Undo)]);
        }
    }
}

/// <summary>Settings of <c>rules</c>.</summary>
internal sealed record RulesOptions
{
    [Description("The rules; each is looked at for itself.")]
    [MinLength(1)]
    public required IReadOnlyList<RuleOptions> Rules { get; init; }

    [Range(0.001, 3600)]
    [Description("How often the rules are looked at. Metrics are sampled once a second.")]
    public TimeSpan Every { get; init; } = TimeSpan.FromSeconds(1);
}
