using System.Text.Json.Serialization;

namespace Loom.Clients;

/// <summary>A chat request in OpenAI's form; unset fields are left out.</summary>
public sealed record ChatRequest
{
    /// <summary>Model id or pool alias.</summary>
    public required string Model { get; init; }

    /// <summary>The conversation, oldest first.</summary>
    public required IReadOnlyList<ChatMessage> Messages { get; init; }

    /// <summary>Most tokens of the answer; null = the engine's default.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Sampling temperature; null = the engine's default.</summary>
    public double? Temperature { get; init; }

    /// <summary>Seed of the sampling; null = the engine's choice.</summary>
    public long? Seed { get; init; }

    /// <summary>Whether the answer comes in pieces.</summary>
    public bool Stream { get; init; }
}

/// <summary>One message of a conversation.</summary>
/// <param name="Role"><c>system</c>, <c>user</c> or <c>assistant</c>.</param>
/// <param name="Content">Its text.</param>
public sealed record ChatMessage(string Role, string Content);

/// <summary>A model the API offers.</summary>
/// <param name="Id">Name to ask for.</param>
/// <param name="Description">One line about it, or null.</param>
public sealed record ModelInfo(string Id, string? Description);

internal sealed record ModelList(IReadOnlyList<ModelInfo> Data);

internal sealed record ChatChunk(IReadOnlyList<ChatChoice>? Choices, ChatError? Error);

internal sealed record ChatChoice(ChatDelta? Delta);

internal sealed record ChatDelta(string? Content);

internal sealed record ChatError(string? Code, string Message);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ChatRequest))]
[JsonSerializable(typeof(ModelList))]
[JsonSerializable(typeof(ChatChunk))]
internal sealed partial class ModelJson : JsonSerializerContext;
