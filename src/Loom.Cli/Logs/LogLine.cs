using System.Globalization;
using System.Text.Json;

namespace Loom.Cli.Logs;

/// <summary>One captured line.</summary>
/// <param name="Name">Process it came from, which is the stem of its log file.</param>
/// <param name="At">When it was captured; null for a line without a time.</param>
/// <param name="Text">The line without its time.</param>
/// <param name="IsError">It was written to stderr, and that is kept apart.</param>
internal readonly record struct LogLine(string Name, DateTimeOffset? At, string Text, bool IsError = false)
{
    /// <summary>Takes a captured line apart: an RFC 3339 time before a text, or an object with both (<c>log.format = "json"</c>).</summary>
    public static LogLine Parse(string name, string line, bool isError = false)
    {
        if ((line.StartsWith("{\"ts\":", StringComparison.Ordinal) || line.StartsWith("{\"name\":", StringComparison.Ordinal)) && OfObject(name, line, isError) is { } parsed)
        {
            return parsed;
        }

        var space = line.IndexOf(' ', StringComparison.Ordinal);
        return space is > 18 and < 40 && DateTimeOffset.TryParse(line.AsSpan(0, space), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? new LogLine(name, at, line[(space + 1)..], isError)
            : new LogLine(name, null, line, isError);
    }

    // An agent may write such objects of its own: only what has our fields is ours.
    private static LogLine? OfObject(string name, string line, bool isError)
    {
        try
        {
            using var item = JsonDocument.Parse(line);
            var root = item.RootElement;
            if (!root.TryGetProperty("text", out var text) || !root.TryGetProperty("stream", out var stream) || !root.TryGetProperty("name", out var own) || !own.ValueEquals(name))
            {
                return null;
            }

            DateTimeOffset? at = root.TryGetProperty("ts", out var time) ? time.GetDateTimeOffset() : null;
            return new LogLine(name, at, text.GetString() ?? "", isError || stream.ValueEquals("stderr"));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            return null;
        }
    }
}
