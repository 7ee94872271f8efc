using System.Text;
using System.Text.Json;

namespace Loom.Runtime;

/// <summary>Reads what <c>loom --json</c> says.</summary>
internal static class LoomAnswers
{
    /// <summary>Collects lines until they are one JSON document.</summary>
    /// <param name="sofar">Lines before this one; emptied when the document is whole.</param>
    /// <param name="line">The next line.</param>
    public static JsonElement? TryComplete(StringBuilder sofar, string line)
    {
        if (sofar.Length == 0 && !line.StartsWith('{'))
        {
            return null;
        }

        sofar.Append(line).Append('\n');
        if (!line.EndsWith('}'))
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(sofar.ToString());
            sofar.Clear();
            return document.RootElement.Clone();
        }
        catch (JsonException)
        {
            return null; // an inner brace
        }
    }

    /// <summary>The failure a command ended with: its last line of stderr that is an error object, else what it said.</summary>
    public static LoomException Failure(int exit, IEnumerable<string> errors)
    {
        foreach (var line in errors.Reverse())
        {
            if (line.StartsWith("{\"error\"", StringComparison.Ordinal) && TryComplete(new StringBuilder(), line) is { } document)
            {
                var error = document.GetProperty("error");
                if (error.TryGetProperty("errors", out _))
                {
                    return Faults(error);
                }

                return new LoomException(exit, Text(error, "code") ?? "FAILED", Text(error, "message") ?? "loom failed", Text(error, "fix"));
            }
        }

        var said = string.Join('\n', errors.TakeLast(20));
        return new LoomException(exit, "FAILED", said.Length > 0 ? said : $"loom ended with exit code {exit} and said nothing");
    }

    /// <summary>The faults in the answer of <c>config check --json</c>.</summary>
    public static ConfigException Faults(JsonElement check) => new(
    [
        .. check.GetProperty("errors").EnumerateArray().Select(error =>
        {
            var source = error.TryGetProperty("source", out var found) ? found : default;
            var message = Text(error, "message") ?? Text(error, "allowed") ?? "wrong";
            return new ConfigError(
                Text(error, "code")!, Text(error, "key") ?? Text(error, "variable"), message, Text(source, "file"), Number(source, "line"), Number(source, "column"), Text(error, "fix"));
        }),
    ]);

    public static string? Text(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static int Number(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetInt32() : 0;
}
