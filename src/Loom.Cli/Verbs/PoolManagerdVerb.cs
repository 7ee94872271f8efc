using System.CommandLine;
using Loom.Agents.Project;
using Loom.Cli.Binaries;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Core.Settings;
using Loom.Node.Link;
using Loom.Processes;

namespace Loom.Cli.Verbs;

/// <summary><c>loom pool-managerd</c>: the node agent alone, one on each machine with engines.</summary>
internal static class PoolManagerdVerb
{
    public static Command Create(ProcessSignals signals)
    {
        var command = Verb.Create(
            "pool-managerd",
            "Run the node agent alone: engines of this machine, registered at a control plane",
            [
                "ORCHESTRATORD_URL=http://queen-rbee:8080 POOL_MANAGERD_NODE_ID=gpu-node-1 LLORCH_API_TOKEN=... loom pool-managerd",
                "loom pool-managerd --set serving.node.bind=127.0.0.1:9200 --json",
            ],
            (context, parse, _) => new ServiceSession(context, parse, signals, LoomPart.PoolManagerd, "pool-managerd").RunAsync(
                (world, cancellationToken) => StartAsync(world, parse.GetValue(BinaryFlags.AllowUnverified), cancellationToken)));
        command.Options.Add(BinaryFlags.AllowUnverified);
        return command;
    }

    private static async Task<IService> StartAsync(ServiceWorld world, bool allowUnverified, CancellationToken cancellationToken)
    {
        var plan = HomePlanner.Node(world.Settings, world.Context, world.Runtime, allowUnverified);
        var options = LinkOptions.From(world.Settings);
        Directory.CreateDirectory(world.Runtime.LogsDir);
        ProjectRun? run;
        try
        {
            run = await ProjectRun.StartAsync(
                new ProjectRunOptions
                {
                    ProjectFolder = world.Settings.ProjectFolder,
                    Executable = world.Context.Executable,
                    LoomVersion = Build.Current.Version,
                    Cgroup = world.Runtime.Cgroup,
                    Mode = "node",
                    Time = world.Context.Time,
                    Logger = world.Loggers.CreateLogger("loom"),
                },
                cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw new CliError(ExitCode.Failed, "RUN_DIRECTORY", e.Message);
        }
        catch (SurvivorsException e)
        {
            throw new CliError(ExitCode.Failed, "SURVIVORS", e.Message, "loom down --force");
        }

        return run is null
            ? throw new CliError(ExitCode.Conflict, "RUNNING", $"another runtime has the project {world.Settings.ProjectFolder}", "loom down, or another folder with -C DIR")
            : await CloudNode.StartAsync(plan, options, run, world.Context.Time, world.Loggers, cancellationToken).ConfigureAwait(false);
    }
}
