using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Cli.Scaffolds;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Settings;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Locking;
using Loom.Harness.Architecture.Planning;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness new</c>: a system that is checked, locked and runs at once, with a test. Nothing that exists is overwritten.</summary>
internal static class NewSystemVerb
{
    private static readonly Argument<string> s_name = new("NAME") { Description = "Its name, which is also its folder: a-z, 0-9 and _" };
    private static readonly Option<string?> s_from = new("--from") { Description = "Begin with a copy of an example", HelpName = "EXAMPLE" };

    public static Command Create()
    {
        s_from.CompletionSources.Add(_ => SystemScaffold.Examples().Select(e => new System.CommandLine.Completions.CompletionItem(e)));
        var command = Verb.Create("new", "Begin a system that runs at once, with a test", ["loom harness new first", "loom harness new mine --from log_stats"], RunAsync);
        command.Arguments.Add(s_name);
        command.Options.Add(s_from);
        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var path = parse.GetValue(s_name)!;
        var folder = Path.GetFullPath(path, context.WorkingDirectory);
        var name = Path.GetFileName(folder);
        if (!ComponentPlanner.IsName(name))
        {
            throw new CliError(ExitCode.Usage, "BAD_NAME", $"'{Redaction.Plain(name)}' is no name of a system: a-z, 0-9 and _, a letter first", "loom harness new my_system");
        }

        if (File.Exists(Path.Combine(folder, SystemLoader.ArchitectureFile)))
        {
            throw new CliError(ExitCode.Usage, "EXISTS", $"there is a system already: {folder}", $"loom harness check {path}");
        }

        var files = parse.GetValue(s_from) is { } example ? Example(example, name) : SystemScaffold.Files(name);
        var written = await NewFiles.WriteAsync(context, files.Select(f => (Path.Combine(folder, f.Path), f.Text)), stop).ConfigureAwait(false);
        var session = HarnessSession.Open(context, parse, folder, deployment: null);
        var loaded = await session.LoadStrictAsync(context.Terminal, stop).ConfigureAwait(false);
        if (SystemLock.Compute(loaded, DiskSystemFiles.Instance, new FindingList()) is { } content)
        {
            SystemLock.Write(folder, content);
            context.Terminal.Note($"created {Path.Combine(path, LockContent.FileName)}");
        }

        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(new NewSystemReport(folder, [.. written]), NewSystemJson.Default.NewSystemReport));
        }

        context.Terminal.Note($"\nnext:\n  cd {path}\n  loom harness check\n  loom harness test\n  loom harness run");
        return ExitCode.Ok;
    }

    private static IReadOnlyList<(string Path, string Text)> Example(string example, string name)
    {
        if (SystemScaffold.FromExample(example, name) is { } files)
        {
            return files;
        }

        var all = SystemScaffold.Examples();
        var near = Nearest.Of(example, all);
        throw new CliError(ExitCode.Usage, "UNKNOWN_EXAMPLE", $"there is no example '{Redaction.Plain(example)}' (examples: {string.Join(", ", all)})", near is null ? null : $"loom harness new {name} --from {near}");
    }
}

/// <summary>What <c>new</c> says under <c>--json</c>.</summary>
internal sealed record NewSystemReport(string Folder, string[] Created);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(NewSystemReport))]
internal sealed partial class NewSystemJson : JsonSerializerContext;
