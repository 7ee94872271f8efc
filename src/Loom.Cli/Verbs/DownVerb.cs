using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Project;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom down</c>: stops everything of the project. Reads run state only, so it works with a broken <c>loom.toml</c>.</summary>
internal static class DownVerb
{
    private static readonly Option<double> s_timeout = new("--timeout") { Description = "Longest orderly stop in seconds; then everything is killed", DefaultValueFactory = _ => 60 };
    private static readonly Option<bool> s_force = new("--force") { Description = "Kill at once" };

    public static Command Create()
    {
        var command = Verb.Create("down", "Stop everything of the project; fine when nothing runs", ["loom down", "loom down -C samples/quickstart", "loom down --force"], RunAsync);
        s_timeout.Validators.Add(static result =>
        {
            if (result.GetValueOrDefault<double>() is not (>= 0 and <= 86400))
            {
                result.AddError("--timeout wants 0 to 86400 seconds.");
            }
        });
        command.Options.Add(s_timeout);
        command.Options.Add(s_force);
        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var directory = RunDirectory.Of(context.ProjectFolder());
        var down = new Down(directory, context.Time, new NoteLogger(context.Terminal));
        DownResult result;
        try
        {
            result = await down.RunAsync(TimeSpan.FromSeconds(parse.GetValue(s_timeout)), parse.GetValue(s_force), cancellationToken).ConfigureAwait(false);
        }
        catch (ProjectBusyException e)
        {
            throw new CliError(ExitCode.Conflict, "LOCKED", e.Message);
        }

        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(new DownDocument(1, result.WasRunning, [.. result.Survivors]), DownJson.Default.DownDocument));
        }
        else if (result.Survivors.IsEmpty)
        {
            context.Terminal.Note(result.WasRunning ? "stopped" : "nothing is running");
        }

        return result.Survivors.IsEmpty
            ? ExitCode.Ok
            : throw new CliError(ExitCode.Failed, "SURVIVORS", $"still alive: {string.Join("; ", result.Survivors)}", "end them by pid");
    }
}

internal sealed record DownDocument(int Schema, bool WasRunning, IReadOnlyList<string> Survivors);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(DownDocument))]
internal sealed partial class DownJson : JsonSerializerContext;
