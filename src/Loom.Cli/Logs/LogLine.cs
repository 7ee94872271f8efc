using System.Globalization;

namespace Loom.Cli.Logs;

/// <summary>One captured line.</summary>
/// <param name="Name">Process it came from, which is the stem of its log file.</param>
/// <param name="At">When it was captured; null for a line without a time.</param>
/// <param name="Text">The line without its time.</param>
internal readonly record struct LogLine(string Name, DateTimeOffset? At, string Text)
{
    /// <summary>Takes the RFC 3339 time off the front of a captured line.</summary>
    public static LogLine Parse(string name, string line)
    {
        var space = line.IndexOf(' ', StringComparison.Ordinal);
        return space is > 18 and < 40 && DateTimeOffset.TryParse(line.AsSpan(0, space), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            ? new LogLine(name, at, line[(space + 1)..])
            : new LogLine(name, null, line);
    }
}
