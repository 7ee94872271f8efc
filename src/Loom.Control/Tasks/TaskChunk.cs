using System.Text.Json;

namespace Loom.Control.Tasks;

/// <summary>What one event of an engine's stream says: the text and how it ended, of the first choice. Both forms of OpenAI are read.</summary>
/// <param name="Text">Text it adds; null = none.</param>
/// <param name="FinishReason">Why the engine stopped; null = it goes on.</param>
/// <param name="Error">What went wrong, when the event tells an error.</param>
internal readonly record struct TaskChunk(string? Text, string? FinishReason, string? Error)
{
    /// <summary>Reads the JSON of an event. Nothing of it when it is none.</summary>
    public static TaskChunk Read(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json);
            using var document = JsonDocument.ParseValue(ref reader);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                return default;
            }

            if (root.TryGetProperty("error"u8, out var error) && error.ValueKind == JsonValueKind.Object)
            {
                return new TaskChunk(null, null, Read(error, "message"u8) ?? error.GetRawText());
            }

            if (!root.TryGetProperty("choices"u8, out var choices) || choices.ValueKind != JsonValueKind.Array || choices.GetArrayLength() == 0
                || choices[0] is not { ValueKind: JsonValueKind.Object } choice)
            {
                return default;
            }

            var text = choice.TryGetProperty("delta"u8, out var part) || choice.TryGetProperty("message"u8, out part) ? Read(part, "content"u8) : Read(choice, "text"u8);
            var finish = Read(choice, "finish_reason"u8);
            return new TaskChunk(string.IsNullOrEmpty(text) ? null : text, string.IsNullOrEmpty(finish) ? null : finish, null);
        }
        catch (JsonException)
        {
            return default;
        }
    }

    private static string? Read(JsonElement from, ReadOnlySpan<byte> name) =>
        from.ValueKind == JsonValueKind.Object && from.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
