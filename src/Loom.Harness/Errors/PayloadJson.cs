using System.Text.Json;

namespace Loom.Harness.Errors;

/// <summary>A payload as JSON, for records of errors and for people.</summary>
internal static class PayloadJson
{
    /// <summary>Levels a payload may nest where it comes in: as deep as what reads JSON goes unless it is told otherwise.</summary>
    public const int MostLevels = 64;

    /// <summary>For reading what lies around payloads, which adds levels to theirs.</summary>
    public static JsonDocumentOptions Around { get; } = new() { MaxDepth = 1000 };

    public static JsonElement Of<T>(T data)
    {
        if (data is JsonElement element)
        {
            return element.ValueKind == JsonValueKind.Undefined ? JsonSerializer.SerializeToElement<object?>(null) : element;
        }

        try
        {
            return JsonSerializer.SerializeToElement(data);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // The failure is about to be recorded: a payload that has no JSON form is named, not lost with its error.
            return JsonSerializer.SerializeToElement(Text(data));
        }
    }

    private static string? Text<T>(T data)
    {
        try
        {
            return data?.ToString();
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            return $"{typeof(T).Name}, whose text cannot be made: {e.Message}";
        }
    }
}
