using System.Text.Json;
using System.Text.Unicode;
using Loom.Components;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>Settings of <c>jsonl</c>.</summary>
internal sealed record JsonlOptions : FileLineOptions;

/// <summary>One event for each line of JSON.</summary>
[Component("jsonl", Type = ComponentType.Source, Replayable = true, StateVersion = 1,
    Summary = "Reads files with one JSON value a line; the value is the payload, and one that says \"mock\": true makes a mock event. Blank lines are passed over.")]
internal sealed class JsonlSource(JsonlOptions options, ILogger<JsonlSource> log) : FileLineSource(options, log)
{
    /// <inheritdoc />
    protected override bool TryParse(ReadOnlySpan<byte> line, string file, out JsonElement data, out bool mock) => JsonLine.TryParse(line, out data, out mock);
}

/// <summary>A line of JSON as a payload.</summary>
internal static class JsonLine
{
    /// <summary>Reads it.</summary>
    /// <returns>False for a blank line.</returns>
    /// <exception cref="JsonException">It is no JSON, or no UTF-8.</exception>
    public static bool TryParse(ReadOnlySpan<byte> line, out JsonElement data, out bool mock)
    {
        if (line.IndexOfAnyExcept(" \t\r"u8) < 0)
        {
            data = default;
            mock = false;
            return false;
        }

        if (!Utf8.IsValid(line))
        {
            throw new JsonException("it is not valid UTF-8");
        }

        data = JsonElement.Parse(line);
        mock = data.ValueKind == JsonValueKind.Object && data.TryGetProperty("mock"u8, out var mark) && mark.ValueKind == JsonValueKind.True;
        return true;
    }
}
