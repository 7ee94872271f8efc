using System.CommandLine;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom init</c>: a project of one file. Nothing that exists is overwritten.</summary>
public static class InitVerb
{
    private static readonly Argument<string> s_folder = new("DIR") { Description = "Folder of the project, created when missing", DefaultValueFactory = _ => "." };

    public static Command Create()
    {
        var command = Verb.Create("init", "Create a project: a loom.toml that serves the demo model", ["loom init", "loom init my-project", "loom init && loom up"], RunAsync);
        command.Arguments.Add(s_folder);
        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var folder = Path.GetFullPath(parse.GetValue(s_folder)!, context.ProjectOption is null ? context.WorkingDirectory : Path.GetFullPath(context.ProjectOption));
        var name = Path.GetFileName(folder.TrimEnd(Path.DirectorySeparatorChar));
        var files = new (string Path, string Text)[]
        {
            (Path.Combine(folder, "loom.toml"), ProjectFile(name)),
            (Path.Combine(folder, ".loom", "loom.schema.json"), SchemaDocument.Write(LoomRegistry.Instance)),
            (Path.Combine(folder, ".gitignore"), ".loom/\n.runtime/\n.env\n"),
        };
        if (File.Exists(files[0].Path))
        {
            throw new CliError(ExitCode.Usage, "EXISTS", $"there is a project already: {files[0].Path}", "loom up, or name another folder");
        }

        try
        {
            foreach (var (path, text) in files.Where(f => !File.Exists(f.Path)))
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                await File.WriteAllTextAsync(path, text, cancellationToken).ConfigureAwait(false);
                context.Terminal.Note($"created {Path.GetRelativePath(context.WorkingDirectory, path)}");
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CliError(ExitCode.Failed, "CANNOT_WRITE", $"cannot create the project in {folder}: {e.Message}", "choose a folder you may write to");
        }

        var cd = string.Equals(folder, context.WorkingDirectory, StringComparison.Ordinal) ? "" : $"cd {Path.GetRelativePath(context.WorkingDirectory, folder)} && ";
        context.Terminal.Note($"\nnext:\n  {cd}loom up\n  loom chat            (in a second terminal)");
        return ExitCode.Ok;
    }

    private static string ProjectFile(string name) => $"""
        #:schema .loom/loom.schema.json
        # What Loom runs here. `loom config explain KEY` tells what a key does, `loom config show` what is in force.
        name = "{name.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}"

        [serving.pools.default]
        engine = "embedded"      # llama.cpp on this machine's CPU; needs Node 20
        models = ["demo"]        # or a GGUF file of yours: "file:/path/to/model.gguf"
        slots = 4                # requests answered at the same time

        """;
}
