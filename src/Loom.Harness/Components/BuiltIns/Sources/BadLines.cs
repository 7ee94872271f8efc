using System.Text;
using System.Text.Json;
using Loom.Components;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>Does with a record that cannot be read what the source's <c>on_bad_line</c> says.</summary>
/// <param name="rule">What to do.</param>
/// <param name="ctx">The source.</param>
/// <param name="log">Where a record that is left out is told.</param>
internal sealed partial class BadLines(BadLine rule, SetupContext ctx, ILogger log)
{
    // Of a record that is an item error as much is kept.
    private const int ShownBytes = 64 * 1024;

    /// <summary>What becomes of a record: null when it is left out, else its item error.</summary>
    /// <param name="what">Which record, and what is wrong with it.</param>
    /// <param name="error">What the parser said, or null.</param>
    /// <exception cref="InvalidDataException">The component is to fail.</exception>
    public ItemException? Judge(string what, Exception? error)
    {
        ctx.Metrics.Count("bad_lines");
        switch (rule)
        {
            case BadLine.Skip:
                LogSkipped(log, ctx.Name, what);
                return null;
            case BadLine.Fail:
                throw new InvalidDataException($"{what}; mend the input, or set on_bad_line to dead_letter or skip");
            default:
                return new ItemException("bad_line", what, ErrorClass.Permanent, error);
        }
    }

    /// <summary>What a parser said, without its line number, which is always the first.</summary>
    public static string Reason(JsonException error)
    {
        var end = error.Message.IndexOf(" LineNumber:", StringComparison.Ordinal);
        return end < 0 ? error.Message : $"{error.Message[..end].TrimEnd('.')} (at its byte {error.BytePositionInLine + 1})";
    }

    /// <summary>A record as a payload: its text, cut where it is very long.</summary>
    public static JsonElement Shown(ReadOnlySpan<byte> record) =>
        JsonSerializer.SerializeToElement(Encoding.UTF8.GetString(record[..Math.Min(record.Length, ShownBytes)]), SourceJson.Default.String);

    [LoggerMessage(EventId = 4300, Level = LogLevel.Warning, Message = "{Component}: left out {What}")]
    private static partial void LogSkipped(ILogger logger, string component, string what);
}
