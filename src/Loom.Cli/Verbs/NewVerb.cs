using System.CommandLine;
using System.Text.Json;
using Loom.Agents.Discovery;
using Loom.Cli.Scaffolds;
using Loom.Cli.Status;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom new agent</c>: one file in <c>agents/</c>. <c>loom.toml</c> is never edited: what may be pasted into it is printed.</summary>
internal static class NewVerb
{
    public static Command Create()
    {
        var name = new Argument<string>("NAME") { Description = "Its name: a-z, 0-9, _ and -" };
        var language = new Option<string>("--lang") { Description = "python (default), csharp, node or sh", HelpName = "LANGUAGE", DefaultValueFactory = _ => "python" };
        language.AcceptOnlyFromAmong(AgentScaffold.Words);
        var agent = Verb.Create(
            "agent",
            "Begin an agent: a file in agents/ that runs as it is",
            ["loom new agent researcher", "loom new agent watcher --lang node", "loom new agent sweeper --lang sh --json"],
            (context, parse, cancellationToken) => AgentAsync(context, parse.GetValue(name)!, AgentScaffold.Language(parse.GetValue(language)!), cancellationToken));
        agent.Arguments.Add(name);
        agent.Options.Add(language);
        return new Command("new", "Begin a part of the project") { agent };
    }

    private static async Task<int> AgentAsync(VerbContext context, string name, AgentLanguage language, CancellationToken cancellationToken)
    {
        Check(name);
        var folder = context.ProjectFolder();
        if (Existing(Path.Combine(folder, "agents"), name) is { } there)
        {
            throw new CliError(ExitCode.Usage, "EXISTS", $"there is an agent '{name}' already: {Path.GetRelativePath(context.WorkingDirectory, there)}", "choose another name");
        }

        var (path, text) = AgentScaffold.File(name, language);
        var written = await NewFiles.WriteAsync(context, [(Path.Combine(folder, path), text)], cancellationToken).ConfigureAwait(false);
        var snippet = AgentScaffold.Snippet(name, path);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(new CreatedDocument(1, folder, written, snippet), ScaffoldJson.Default.CreatedDocument));
            return ExitCode.Ok;
        }

        context.Terminal.Note("\nIt is found in agents/ as it is. To set more than the defaults, paste into loom.toml what you need of:\n");
        context.Terminal.Out.WriteLine(snippet);
        var running = RunningProject.Of(context).TryLook(cancellationToken) is not null;
        context.Terminal.Note($"\nnext:\n  loom up{(running ? " --apply" : "")}\n  loom logs -f {name}");
        return ExitCode.Ok;
    }

    private static void Check(string name)
    {
        if (!AgentName.IsValid(name))
        {
            throw new CliError(ExitCode.Usage, "BAD_NAME", $"'{name}' is no name of an agent: {AgentName.Grammar}", $"loom new agent {AgentName.From(name)}");
        }

        if (AgentName.IsReserved(name))
        {
            throw new CliError(ExitCode.Usage, "BAD_NAME", $"'{name}' is the name of a part of Loom", $"loom new agent {name}-agent");
        }

        if (name.StartsWith("test_", StringComparison.Ordinal) || name.EndsWith("_test", StringComparison.Ordinal))
        {
            throw new CliError(ExitCode.Usage, "BAD_NAME", $"a script called '{name}' is taken for a test, and is no agent", $"loom new agent {name.Replace("test_", "", StringComparison.Ordinal).Replace("_test", "", StringComparison.Ordinal)}");
        }
    }

    private static string? Existing(string agents, string name) => Directory.Exists(agents)
        ? Directory.EnumerateFileSystemEntries(agents).FirstOrDefault(e => Path.GetFileNameWithoutExtension(e) == name)
        : null;
}
