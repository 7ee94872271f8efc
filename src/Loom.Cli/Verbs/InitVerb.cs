using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Scaffolds;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom init</c>: a project that runs. Nothing that exists is overwritten.</summary>
public static class InitVerb
{
    private const string FirstAgent = "hello";

    private static readonly Argument<string> s_folder = new("DIR") { Description = "Folder of the project, created when missing", DefaultValueFactory = _ => "." };
    private static readonly Option<string> s_template = new("--template") { Description = "quickstart (default): a model and its API; agents: a first agent of yours", HelpName = "WHAT", DefaultValueFactory = _ => "quickstart" };
    private static readonly Option<string?> s_language = new("--lang") { Description = "Language of the first agent: python (default), csharp, node or sh; implies --template agents", HelpName = "LANGUAGE" };

    public static Command Create()
    {
        s_template.AcceptOnlyFromAmong(ProjectScaffold.Templates);
        s_language.AcceptOnlyFromAmong(AgentScaffold.Words);
        var command = Verb.Create(
            "init",
            "Create a project that runs; existing files are never touched",
            ["loom init && loom up", "loom init my-project", "loom init my-project --template agents", "loom init my-project --lang node"],
            RunAsync);
        command.Arguments.Add(s_folder);
        command.Options.Add(s_template);
        command.Options.Add(s_language);
        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var folder = Path.GetFullPath(parse.GetValue(s_folder)!, context.ProjectOption is null ? context.WorkingDirectory : Path.GetFullPath(context.ProjectOption));
        var language = parse.GetValue(s_language);
        var template = Template(parse, language);
        var project = Path.Combine(folder, "loom.toml");
        if (File.Exists(project))
        {
            throw new CliError(ExitCode.Usage, "EXISTS", $"there is a project already: {project}", "loom up; loom new agent NAME adds an agent");
        }

        List<(string Path, string Text)> files =
        [
            (project, ProjectScaffold.File(template, Path.GetFileName(folder.TrimEnd(Path.DirectorySeparatorChar)))),
            (Path.Combine(folder, ".loom", "loom.schema.json"), SchemaDocument.Write(LoomRegistry.Instance)),
            (Path.Combine(folder, ".gitignore"), ProjectScaffold.Ignored),
        ];
        if (template is "agents")
        {
            var (path, text) = AgentScaffold.File(FirstAgent, AgentScaffold.Language(language ?? "python"));
            files.Insert(1, (Path.Combine(folder, path), text));
        }

        var written = await NewFiles.WriteAsync(context, files, cancellationToken).ConfigureAwait(false);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(new CreatedDocument(1, folder, written, null), ScaffoldJson.Default.CreatedDocument));
            return ExitCode.Ok;
        }

        var cd = string.Equals(folder, context.WorkingDirectory, StringComparison.Ordinal) ? "" : $"cd {Path.GetRelativePath(context.WorkingDirectory, folder)} && ";
        context.Terminal.Note($"\nnext:\n  {cd}loom up --watch");
        context.Terminal.Note("  (it reloads the agents you save; Ctrl-C stops it; in a second terminal:)");
        context.Terminal.Note(template is "agents" ? "  loom status" : "  loom chat");
        context.Terminal.Note("  loom new agent NAME --lang python|csharp|node|sh");
        return ExitCode.Ok;
    }

    private static string Template(ParseResult parse, string? language)
    {
        var chosen = parse.GetValue(s_template)!;
        var given = parse.GetResult(s_template) is { Implicit: false };
        return (language, given, chosen) switch
        {
            (null, _, _) => chosen,
            (_, true, "quickstart") => throw new CliError(ExitCode.Usage, "USAGE", "--template quickstart has no agent that --lang could speak of", "loom init --template agents --lang " + language),
            _ => "agents",
        };
    }
}

/// <summary>What <c>init</c> and <c>new</c> print with <c>--json</c>.</summary>
internal sealed record CreatedDocument(int Schema, string Project, IReadOnlyList<string> Created, string? Snippet);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CreatedDocument))]
internal sealed partial class ScaffoldJson : JsonSerializerContext;
