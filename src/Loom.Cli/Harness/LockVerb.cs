using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Locking;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness lock</c>: writes what is agreed about a system, or with <c>--check</c> compares with it.</summary>
internal static class LockVerb
{
    private static readonly Argument<string> s_directory = HarnessSession.DirectoryArgument();
    private static readonly Option<string?> s_deployment = HarnessSession.DeploymentOption();
    private static readonly Option<bool> s_check = new("--check") { Description = "Write nothing; exit 3 when the files are not what was locked" };

    public static Command Create()
    {
        var command = Verb.Create("lock", "Write build.lock: inputs, code, configuration and the order of every chain",
            ["loom harness lock", "loom harness lock --check"], RunAsync);
        command.Arguments.Add(s_directory);
        command.Options.Add(s_deployment);
        command.Options.Add(s_check);
        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var session = HarnessSession.Open(context, parse, parse.GetValue(s_directory)!, parse.GetValue(s_deployment));
        var loaded = await session.LoadStrictAsync(context.Terminal, stop).ConfigureAwait(false);
        return parse.GetValue(s_check) ? Check(context.Terminal, loaded) : Write(context.Terminal, session, loaded);
    }

    private static int Check(Terminal.Terminal terminal, LoadResult loaded)
    {
        var verdict = SystemLock.Verify(loaded, DiskSystemFiles.Instance);
        if (terminal.Json)
        {
            Print(terminal, new LockReport(verdict.Plan is not null, verdict.Lock?.LockHash, verdict.Lock?.Graph, FindingText.Rows(verdict.Findings)));
        }
        else if (verdict.Plan is null)
        {
            FindingText.Write(terminal, terminal.Err, verdict.Findings);
        }
        else
        {
            terminal.Note($"{LockContent.FileName} fits");
        }

        return verdict.Plan is null ? HarnessExit.Lock : ExitCode.Ok;
    }

    private static int Write(Terminal.Terminal terminal, HarnessSession session, LoadResult loaded)
    {
        var findings = new FindingList();
        if (SystemLock.Compute(loaded, DiskSystemFiles.Instance, findings) is not { } content)
        {
            FindingText.Write(terminal, terminal.Err, findings.Sorted());
            throw FindingText.Error(terminal, findings.Sorted(), ExitCode.Usage, "bring back the file, or take it out of the architecture");
        }

        SystemLock.Write(session.Directory, content);
        if (terminal.Json)
        {
            Print(terminal, new LockReport(true, content.LockHash, content.Graph, []));
        }
        else
        {
            terminal.Note($"locked {content.System} {content.Version} ({content.Inputs.Count} input{(content.Inputs.Count == 1 ? "" : "s")}, {content.Components.Count} components): {content.LockHash[..12]}");
        }

        return ExitCode.Ok;
    }

    private static void Print(Terminal.Terminal terminal, LockReport report) => terminal.Out.WriteLine(JsonSerializer.Serialize(report, LockJson.Default.LockReport));
}

/// <summary>What <c>lock</c> says under <c>--json</c>.</summary>
internal sealed record LockReport(bool Ok, string? LockHash, string? Graph, FindingRow[] Findings);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(LockReport))]
internal sealed partial class LockJson : JsonSerializerContext;
