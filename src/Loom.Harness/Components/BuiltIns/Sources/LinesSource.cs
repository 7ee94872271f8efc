using System.ComponentModel;
using System.Text.Json;
using Loom.Components;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>Settings of <c>lines</c>.</summary>
internal sealed record LinesOptions : FileLineOptions
{
    [Description("Leave out lines that are empty or hold nothing but white space.")]
    public bool SkipEmpty { get; init; }
}

/// <summary>One event for each line of text.</summary>
[Component("lines", Type = ComponentType.Source, Replayable = true, StateVersion = 1,
    Summary = "Reads the lines of text files, once or following them over rotation: {\"line\": text, \"file\": name}. Bytes that are not UTF-8 become the replacement character.")]
internal sealed class LinesSource(LinesOptions options, ILogger<LinesSource> log) : FileLineSource(options, log)
{
    private readonly PayloadWriter _payload = new();

    /// <inheritdoc />
    protected override bool TryParse(ReadOnlySpan<byte> line, string file, out JsonElement data, out bool mock)
    {
        mock = false;
        if (options.SkipEmpty && line.IndexOfAnyExcept(" \t\r"u8) < 0)
        {
            data = default;
            return false;
        }

        var json = _payload.Begin();
        PayloadWriter.WriteText(json, "line"u8, line);
        json.WriteString("file"u8, file);
        data = _payload.End();
        return true;
    }
}
