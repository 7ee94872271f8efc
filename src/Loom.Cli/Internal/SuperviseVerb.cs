using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Project;
using Loom.Cli.Terminal;
using Loom.Processes;

namespace Loom.Cli.Internal;

/// <summary>
/// <c>loom internal supervise PLAN.json</c>: a project run with nothing but children, as the failure drills need it. Prints <c>up</c> once all are started,
/// stops in order on a signal or on <c>down</c>, exits 1 when something survived.
/// </summary>
internal static class SuperviseVerb
{
    public static async Task<int> RunAsync(ImmutableArray<string> arguments)
    {
        if (arguments is not [var file])
        {
            await Console.Error.WriteLineAsync("loom internal supervise: one argument is needed, a plan file").ConfigureAwait(false);
            return ExitCode.Usage;
        }

        var plan = JsonSerializer.Deserialize(await File.ReadAllBytesAsync(file).ConfigureAwait(false), SupervisePlanJson.Default.SupervisePlan)!;
        using var signals = new ProcessSignals();
        try
        {
            return await RunAsync(plan, signals).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (signals.Stop.IsCancellationRequested)
        {
            return ExitCode.Terminated; // asked to stop before it was up; what had been started is ended
        }
    }

    private static async Task<int> RunAsync(SupervisePlan plan, ProcessSignals signals)
    {
        var run = await ProjectRun.StartAsync(
            new ProjectRunOptions
            {
                ProjectFolder = plan.Project,
                Executable = plan.Guarded ? Environment.ProcessPath : null,
                LoomVersion = "internal",
                Cgroup = plan.Cgroup ? CgroupUse.Required : CgroupUse.Off,
            },
            signals.Stop).ConfigureAwait(false);
        if (run is null)
        {
            await Console.Error.WriteLineAsync($"loom internal supervise: a runtime of '{plan.Project}' is alive").ConfigureAwait(false);
            return ExitCode.Conflict;
        }

        await using (run.ConfigureAwait(false))
        {
            foreach (var child in plan.Children)
            {
                await run.Supervisor.AddAsync(Plan(plan, child), signals.Stop).ConfigureAwait(false);
            }

            new LossyWriter(Console.Out).WriteLine("up"); // the terminal may be closed by now
            using var hurry = signals.Kill.Register(run.Supervisor.Hurry);
            using var end = CancellationTokenSource.CreateLinkedTokenSource(signals.Stop, run.DownRequested);
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, end.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            try
            {
                await run.Supervisor.StopAllAsync(CancellationToken.None).ConfigureAwait(false);
            }
            catch (SurvivorsException e)
            {
                await Console.Error.WriteLineAsync(e.Message).ConfigureAwait(false);
                return ExitCode.Failed;
            }
        }

        return signals.Kill.IsCancellationRequested ? ExitCode.Interrupted : ExitCode.Ok;
    }

    private static ProcessPlan Plan(SupervisePlan plan, SupervisedChildPlan child) => new()
    {
        Name = child.Name,
        Kind = ProcessKind.Agent,
        Command = child.Command,
        WorkingDirectory = plan.Project,
        Environment = ImmutableDictionary<string, string>.Empty.Add("PATH", Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin"),
        Grace = TimeSpan.FromMilliseconds(child.GraceMs),
        Console = child.Terminal ? ProcessConsole.Terminal : ProcessConsole.Captured,
        Restart = child.Terminal ? RestartPolicy.Never : RestartPolicy.OnFailure,
        LogPath = Path.Combine(plan.Project, ".loom", "logs", child.Name + ".log"),
    };
}

internal sealed record SupervisePlan(string Project, bool Guarded, ImmutableArray<SupervisedChildPlan> Children, bool Cgroup = false);

internal sealed record SupervisedChildPlan(string Name, ImmutableArray<string> Command, int GraceMs, bool Terminal = false);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(SupervisePlan))]
internal sealed partial class SupervisePlanJson : JsonSerializerContext;
