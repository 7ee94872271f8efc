using System.Text.Json;
using System.Text.Json.Serialization;

namespace Loom.Cli.Terminal;

/// <summary>A failure told to the user in one line (or one JSON object), with the exit code it leads to.</summary>
public sealed class CliError(int exit, string code, string message, string? fix = null) : Exception(message)
{
    public int Exit => exit;

    /// <summary>Stable name of the failure, for scripts.</summary>
    public string Code => code;

    /// <summary>What mends it; null when nothing simple does.</summary>
    public string? Fix => fix;

    /// <summary>Where it is wrong, for an error of configuration; null for any other.</summary>
    public CliErrorPlace? Place { get; init; }

    /// <summary>All errors of a configuration as JSON, since this one is only the first; null for any other failure.</summary>
    public JsonElement? Errors { get; init; }

    /// <summary>Writes the error to stderr: text, or with <c>--json</c> the documented one-line object.</summary>
    public void WriteTo(Terminal terminal)
    {
        if (terminal.Json)
        {
            var body = new CliErrorBody(code, Message, Place?.Key, Place?.File, Place?.Line, Place?.Column, fix, exit, Errors);
            terminal.Err.WriteLine(JsonSerializer.Serialize(new CliErrorDocument(body), CliErrorJson.Default.CliErrorDocument));
            return;
        }

        terminal.Err.WriteLine(terminal.Paint(Tone.Bad, "loom: ") + Message);
        if (fix is not null)
        {
            terminal.Err.WriteLine("  fix: " + fix);
        }
    }
}

/// <summary>A place in the configuration; what is unknown is null.</summary>
public sealed record CliErrorPlace(string? Key, string? File, int? Line, int? Column);

internal sealed record CliErrorDocument(CliErrorBody Error);

internal sealed record CliErrorBody(string Code, string Message, string? Key, string? File, int? Line, int? Column, string? Fix, int Exit, JsonElement? Errors);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CliErrorDocument))]
internal sealed partial class CliErrorJson : JsonSerializerContext;
