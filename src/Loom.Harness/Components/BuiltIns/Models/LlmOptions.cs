using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;
using Loom.Harness.Schemas;

namespace Loom.Harness.Components.BuiltIns.Models;

/// <summary>One message of a conversation.</summary>
internal sealed record LlmMessage
{
    [AllowedValues("system", "user", "assistant")]
    [Description("Who says it: system, user or assistant.")]
    public string Role { get; init; } = "user";

    [Description("What is said, a template.")]
    public required Template Content { get; init; }
}

/// <summary>Settings of <c>llm</c>.</summary>
internal sealed record LlmOptions : IValidatableObject
{
    [Hot]
    [Description("Model or pool that is asked for; left out: the provider's own default.")]
    public string? Model { get; init; }

    [Description("Name of an [llm.NAME] of the project; left out: Loom's own API, the gateway.")]
    public string? Provider { get; init; }

    [Description("The question, a template. Without prompt, messages and messages_from the payload is asked: its text, or its field \"prompt\".")]
    public Template? Prompt { get; init; }

    [Description("What the model is told before the question, a template.")]
    public Template? System { get; init; }

    [Description("The conversation instead of prompt: a list of role and content, oldest first.")]
    public IReadOnlyList<LlmMessage> Messages { get; init; } = [];

    [Description("The conversation from the event instead of prompt: an expression that gives a list of objects with role and content.")]
    public Expression? MessagesFrom { get; init; }

    [Description("A JSON Schema the answer must fit. It is sent along, the answer is read as JSON and checked; one that does not fit is a transient error, which Retry asks again.")]
    public JsonElement? Schema { get; init; }

    [Description("Field of the payload that takes the answer; empty: the answer alone becomes the payload.")]
    public string Into { get; init; } = "answer";

    [Hot]
    [Range(1, 10_000_000)]
    [Description("Longest answer, in tokens; left out: the provider's default.")]
    public int? MaxTokens { get; init; }

    [Hot]
    [Range(0, 5)]
    [Description("Temperature of the sampling; left out: the provider's default.")]
    public double? Temperature { get; init; }

    [Description("Seed of the sampling; left out: the engine's choice.")]
    public long? Seed { get; init; }

    [Description("Texts that end the answer.")]
    public IReadOnlyList<string> Stop { get; init; } = [];

    /// <inheritdoc />
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if ((Prompt is null ? 0 : 1) + (Messages.Count == 0 ? 0 : 1) + (MessagesFrom is null ? 0 : 1) > 1)
        {
            yield return new ValidationResult("give one of prompt, messages and messages_from", [nameof(Prompt)]);
        }

        if (Schema is { } schema && FaultOf(schema) is { } fault)
        {
            yield return new ValidationResult(fault, [nameof(Schema)]);
        }
    }

    private static string? FaultOf(JsonElement schema)
    {
        try
        {
            JsonSchemaValidator.Compile(schema);
            return null;
        }
        catch (SchemaException e)
        {
            return $"schema {e.Pointer}: {e.Message}";
        }
    }
}
