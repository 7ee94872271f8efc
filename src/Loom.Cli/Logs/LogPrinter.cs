using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Loom.Cli.Terminal;

namespace Loom.Cli.Logs;

/// <summary>Prints log lines: <c>name | line</c> with a colour that depends on the name alone (<c>name ! line</c> for stderr), raw, or as NDJSON.</summary>
internal sealed partial class LogPrinter(Terminal.Terminal terminal, LogView view)
{
    private static readonly int[] s_colours = [36, 32, 33, 35, 34, 96, 92, 93, 95, 94];
    private int _width;

    public void Print(LogLine line)
    {
        if (!terminal.OutIsTerminal && line.Text.Contains('\e', StringComparison.Ordinal))
        {
            line = line with { Text = EscapeSequence().Replace(line.Text, "") }; // only a terminal knows what to do with it
        }

        if (!view.Shows(line))
        {
            return;
        }

        if (terminal.Json)
        {
            terminal.Out.WriteLine(JsonSerializer.Serialize(new LogItem(line.At, line.Name, line.IsError ? "stderr" : "stdout", line.Text), LogJson.Default.LogItem));
            return;
        }

        var time = view.Timestamps && line.At is { } at ? at.ToString("HH:mm:ss.fff ", CultureInfo.InvariantCulture) : "";
        if (view.Raw)
        {
            terminal.Out.WriteLine(time + line.Text);
            return;
        }

        _width = Math.Max(_width, line.Name.Length);
        var name = line.Name.PadRight(_width);
        terminal.Out.WriteLine($"{time}{Tint(line.Name, name)} {(line.IsError ? terminal.Paint(Tone.Bad, "!") : "|")} {line.Text}");
    }

    // CSI, OSC (to BEL or ST) and two-byte sequences of ECMA-48.
    [GeneratedRegex(@"\e(?:\[[0-?]*[ -/]*[@-~]|\][^\a\e]*(?:\a|\e\\)?|[@-Z\\^_])", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex EscapeSequence();

    private string Tint(string name, string text)
    {
        if (!terminal.Color)
        {
            return text;
        }

        var hash = name.Aggregate(17u, static (h, c) => (h * 31) + c);
        return $"\e[{s_colours[hash % (uint)s_colours.Length]}m{text}\e[0m";
    }
}

/// <summary>Which lines are shown, and how.</summary>
internal sealed record LogView(DateTimeOffset? Since, Regex? Grep, bool Raw, bool Timestamps)
{
    /// <summary>Only this stream; null = both.</summary>
    public bool? Errors { get; init; }

    /// <summary>Whether some lines are left out.</summary>
    public bool IsFilter => Since is not null || Grep is not null || Errors is not null;

    /// <summary>Whether a line is shown.</summary>
    public bool Shows(LogLine line) => !(line.At < Since) && (Errors is not { } errors || errors == line.IsError) && Grep?.IsMatch(line.Text) != false;
}

internal sealed record LogItem(DateTimeOffset? Time, string Name, string Stream, string Line);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(LogItem))]
internal sealed partial class LogJson : JsonSerializerContext;
