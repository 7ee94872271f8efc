using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>What happens with an event whose condition asks for a field that is missing.</summary>
internal enum OnMissing
{
    /// <summary>The item fails with <c>missing_field</c>.</summary>
    Error,

    /// <summary>It is left out.</summary>
    Drop,

    /// <summary>It passes.</summary>
    Pass,
}

/// <summary>Settings of <c>filter</c>.</summary>
internal sealed record FilterOptions : IValidatableObject
{
    [Hot]
    [Description("Events for which this expression is true pass unchanged; the others are left out and counted as filtered.")]
    public required Expression Condition { get; init; }

    [Hot]
    [Description("What happens with an event that lacks a field the condition asks for: error (dead letter), drop or pass.")]
    public OnMissing OnMissing { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Payloads.NoCondition(Condition) is { } fault)
        {
            yield return new ValidationResult(fault, [nameof(Condition)]);
        }
    }
}

/// <summary>Lets events pass for which a condition holds.</summary>
[Component("filter", Type = ComponentType.Transformer, Summary = "Lets the events pass for which a condition holds, unchanged and under the same id.")]
internal sealed class FilterTransformer(FilterOptions options) : Transformer<JsonElement, JsonElement>
{
    /// <inheritdoc />
    protected internal override ValueTask ReconfigureAsync(object changed, CancellationToken ct)
    {
        options = (FilterOptions)changed;
        return default;
    }

    protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        bool passes;
        try
        {
            passes = options.Condition.Test(e);
        }
        catch (ItemException missing) when (missing.Code == "missing_field" && options.OnMissing != OnMissing.Error)
        {
            passes = options.OnMissing == OnMissing.Pass;
        }

        return passes ? output.SendAsync(e, ct) : default;
    }
}
