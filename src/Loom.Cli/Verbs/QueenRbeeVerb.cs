using System.CommandLine;
using Loom.Cli.Composition;
using Loom.Control;
using Loom.Core.Settings;

namespace Loom.Cli.Verbs;

/// <summary><c>loom queen-rbee</c>: the control plane alone, on a machine of its own.</summary>
internal static class QueenRbeeVerb
{
    public static Command Create(ProcessSignals signals)
    {
        var command = Verb.Create(
            "queen-rbee",
            "Run the control plane alone; nodes register at it",
            ["ORCHESTRATORD_CLOUD_PROFILE=true LLORCH_API_TOKEN=... loom queen-rbee", "loom queen-rbee --set serving.bind=0.0.0.0:8080 --json"],
            (context, parse, _) => new ServiceSession(context, parse, signals, LoomPart.QueenRbee, "queen-rbee").RunAsync(async (world, cancellationToken) =>
            {
                if (world.Settings.Profile == SettingsProfile.Home)
                {
                    context.Terminal.Note("in HOME no node registers at a control plane that runs alone: loom up has both in one process; ORCHESTRATORD_CLOUD_PROFILE=true opens this one to nodes");
                }

                return await CloudControl.StartAsync(ControlOptions.From(world.Settings) with { Dev = parse.GetValue(RunFlags.Dev) }, context.Time, world.Loggers, cancellationToken).ConfigureAwait(false);
            }));
        command.Options.Add(RunFlags.Dev);
        return command;
    }
}
