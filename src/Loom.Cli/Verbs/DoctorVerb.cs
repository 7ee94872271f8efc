using System.CommandLine;
using System.Text.Json;
using Loom.Agents.Settings;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Doctor;
using Loom.Cli.Terminal;
using Loom.Control;
using Loom.Core.Settings;
using Loom.Node.Settings;

namespace Loom.Cli.Verbs;

/// <summary><c>loom doctor</c>: looks at machine, engines and project, and says what mends what it finds.</summary>
internal static class DoctorVerb
{
    public static Command Create() => Verb.Create("doctor", "Check machine and project; exit 1 when something fails", ["loom doctor", "loom doctor --json", "loom doctor -C samples/quickstart"], RunAsync);

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var loaded = ProcessConfiguration.Load(context, parse, LoomPart.Up);
        var settings = loaded.Snapshot;
        var checks = new List<Check>([.. MachineChecks.Run(), .. SystemChecks.Run()]);
        checks.AddRange(await ToolChecks.RunAsync(settings.Environment, AgentTools.UsedBy(settings.ProjectFolder), cancellationToken).ConfigureAwait(false));
        var errors = loaded.Faults.Count(f => f.Severity == FaultSeverity.Error);
        checks.AddRange(ProjectChecks.Run(
            settings,
            errors,
            [("serving.bind", settings.Get(ControlSettings.Bind).Port), ("telemetry.metrics_port", (int)settings.Get(SharedSettings.MetricsPort))]));
        checks.Add(ProjectChecks.Folder("engine cache", settings.Get(NodeSettings.CacheDir)));
        checks.Add(ProjectChecks.Folder("models", settings.Get(NodeSettings.ModelsDir)));
        if (errors == 0)
        {
            var node = HomePlanner.Node(settings, context, RuntimeOptions.From(settings), allowUnverified: false);
            checks.AddRange(await GpuChecks.RunAsync(node, context.Time, cancellationToken).ConfigureAwait(false));
            checks.Add(HandoffChecks.Run(node.Handoff.Folder));
        }

        var ok = checks.All(c => c.Status != CheckStatus.Fail);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(new DoctorReport(1, ok, checks), DoctorJson.Default.DoctorReport));
        }
        else
        {
            Print(context.Terminal, checks);
        }

        return ok ? ExitCode.Ok : ExitCode.Failed;
    }

    private static void Print(Terminal.Terminal terminal, List<Check> checks)
    {
        var width = checks.Max(c => c.Name.Length);
        foreach (var group in checks.GroupBy(c => c.Category))
        {
            terminal.Out.WriteLine(terminal.Paint(Tone.Strong, group.Key));
            foreach (var check in group)
            {
                var (glyph, tone) = check.Status switch
                {
                    CheckStatus.Pass => ("✔", Tone.Good),
                    CheckStatus.Warning => ("!", Tone.Busy),
                    _ => ("✘", Tone.Bad),
                };
                terminal.Out.WriteLine($"  {terminal.Paint(tone, glyph)} {check.Name.PadRight(width)}  {check.Message}");
                if (check.Fix is not null)
                {
                    terminal.Out.WriteLine($"    {new string(' ', width)}  fix: {check.Fix}");
                }
            }
        }
    }
}
