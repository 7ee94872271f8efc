using System.CommandLine;
using System.Text.Json;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Fixing;
using Loom.Harness.Architecture.Locking;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness check</c>: everything that is wrong with a system's files, and what is promised when nothing is. Changes nothing but what <c>--fix</c> mends.</summary>
internal static class CheckVerb
{
    private static readonly Argument<string> s_directory = HarnessSession.DirectoryArgument();
    private static readonly Option<string?> s_deployment = HarnessSession.DeploymentOption();
    private static readonly Option<bool> s_fix = new("--fix") { Description = "Rewrite longhand bindings as from: component.port, to: component.port" };

    public static Command Create()
    {
        var command = Verb.Create("check", "Tell everything that is wrong with a system, and what its paths guarantee",
            ["loom harness check", "loom harness check samples/pipeline/enrich", "loom harness check --fix", "loom harness check --json"], RunAsync);
        command.Arguments.Add(s_directory);
        command.Options.Add(s_deployment);
        command.Options.Add(s_fix);
        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var session = HarnessSession.Open(context, parse, parse.GetValue(s_directory)!, parse.GetValue(s_deployment));
        if (parse.GetValue(s_fix))
        {
            Fix(context, session);
        }

        var loaded = await session.LoadAsync(stop).ConfigureAwait(false);
        var verdict = loaded.HasErrors ? null : SystemLock.Verify(loaded, DiskSystemFiles.Instance);
        var locked = verdict is { Findings: [{ Code: "LH601" }] } ? "missing" : verdict is null ? "unknown" : verdict.Plan is null ? "differs" : "fits";
        var findings = loaded.Findings.Concat(locked == "differs" ? verdict!.Findings : []).ToList();
        var report = CheckReport.Of(loaded, findings, locked, session.Options.StateAdapter);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(report, CheckJson.Default.CheckReport));
        }
        else
        {
            FindingText.Write(context.Terminal, context.Terminal.Out, findings);
            CheckText.Write(context.Terminal, report);
        }

        return loaded.HasErrors ? ExitCode.Usage : locked == "differs" ? HarnessExit.Lock : ExitCode.Ok;
    }

    private static void Fix(VerbContext context, HarnessSession session)
    {
        var path = Path.Combine(session.Directory, SystemLoader.ArchitectureFile);
        if (!File.Exists(path))
        {
            return;
        }

        var fixedText = BindingFix.Apply(File.ReadAllBytes(path), out var count);
        if (count > 0)
        {
            Loom.Core.Storage.DurableFile.Write(path, fixedText, File.GetUnixFileMode(path));
            context.Terminal.Note($"rewrote {count} binding{(count == 1 ? "" : "s")} of {SystemLoader.ArchitectureFile}");
        }
        else
        {
            context.Terminal.Note("nothing to rewrite");
        }
    }
}
