using System.CommandLine;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Loom.Agents.Binaries;
using Loom.Agents.Plans;
using Loom.Agents.Project;
using Loom.Agents.Settings;
using Loom.Cli.Binaries;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Terminal;
using Loom.Core.Settings;
using Loom.Processes;
using Loom.Processes.Logs;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Verbs;

/// <summary>The life of a command that runs a project: reads and judges everything, takes the project's lock, runs it, and says what is left.</summary>
/// <param name="context">Surroundings of the verb.</param>
/// <param name="parse">Its command line.</param>
/// <param name="signals">Who asks it to stop.</param>
internal sealed class ProjectSession(VerbContext context, ParseResult parse, ProcessSignals signals)
{
    private readonly PortBook _ports = new(FreePort.Pick);
    private readonly bool _allowUnverified = parse.GetValue(BinaryFlags.AllowUnverified);
    private readonly bool _dev = parse.GetValue(RunFlags.Dev);
    private LoadResult? _first;

    /// <summary>Print what the processes write, once ready.</summary>
    public bool Follow { get; init; }

    /// <summary>Launched by <c>--detach</c>: nobody watches, and SIGHUP reopens the logs.</summary>
    public bool InBackground { get; init; }

    /// <summary>When the project runs already: put the configuration as it is now in force.</summary>
    public bool Apply { get; init; }

    /// <summary>Be ready only when every agent is, and give up after this time; null = agents are not waited for.</summary>
    public TimeSpan? WaitWithin { get; init; }

    /// <summary>Time after which one line says that the start goes on; null = none.</summary>
    public TimeSpan? StartupWait { get; init; }

    /// <summary>The terminal belongs to the script: say nothing that is not an error.</summary>
    public bool Quiet { get; init; }

    // The configuration as it was when the command began; one reading serves the hand-over and the start.
    private LoadResult First => _first ??= Load();

    /// <summary>Goes on as another <c>loom</c> where the project asks for one; returns when this one is right. Then the leash is watched, if there is one.</summary>
    public async Task HandOverAsync()
    {
        // Faults are not looked at: the version that runs in the end judges the file.
        await VersionHandOver.RunAsync(context, BinaryOptions.From(First.Snapshot), _allowUnverified, signals.Stop).ConfigureAwait(false);
        StdinLeash.Watch(parse, signals);
    }

    /// <summary>Shows what would run.</summary>
    public int ShowPlan(AgentWish wish)
    {
        if (Plan(wish) is not { } plan)
        {
            return ExitCode.Usage;
        }

        DryRun.Show(context, plan);
        return ExitCode.Ok;
    }

    /// <summary>Runs the project until it is asked to stop, or until what it was started for has ended.</summary>
    /// <param name="wish">What the command line says of the agents.</param>
    /// <param name="joined">What to do when another runtime has the project; null = what a second <c>up</c> does.</param>
    /// <returns>The exit code.</returns>
    public async Task<int> UpAsync(AgentWish wish, Func<HomePlan, WordRelay, Task<int>>? joined = null)
    {
        var started = context.Time.GetTimestamp();
        if (Plan(wish) is not { } plan)
        {
            return ExitCode.Usage;
        }

        // Read by the socket engine at its first use: completions run where they arrive instead of hopping to the thread pool, which halves what the gateway
        // adds to a first token. Nothing on that path blocks. Set after the environment was captured, so that children do not inherit it.
        Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
        Directory.CreateDirectory(plan.Runtime.LogsDir);
        using var log = new SharedLog(Path.Combine(plan.Runtime.LogsDir, "loom.log"), new LogOptions(), context.Time);
        using var board = new TaskBoard(context.Terminal, context.Time);
        using var words = new WordRelay(n => board.Print($"{n} lines were not shown, the terminal was too slow; loom logs has them"));
        using var logging = new LoomLogging(
            log,
            plan.Settings.Get(SharedSettings.Log).LevelOf,
            plan.Runtime.JsonLog,
            (_, line) => words.Post(() => board.Print(context.Terminal.Paint(Tone.Busy, "loom: ") + line)),
            new SecretMask(SecretValues.From(plan.Settings)),
            context.Terminal.Verbose ? LogLevel.Information : LogLevel.Warning);
        using var loggers = new LoggerFactory([logging], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        try
        {
            var config = RunningConfig.Content(plan.Settings, LoomRegistry.Instance);
            var run = await StartRunAsync(plan, config, loggers).ConfigureAwait(false);
            if (run is null)
            {
                return await (joined is not null ? joined(plan, words) : new SecondUp(context, plan, Apply, WaitWithin).RunAsync(signals.Stop)).ConfigureAwait(false);
            }

            int exit;
            using var export = TelemetryExport.Start(plan.Settings, "loom", run.RunId, logging, context.Time, loggers);
            await using (run.ConfigureAwait(false))
            {
                RunningConfig.Write(plan.Settings.ProjectFolder, config);
                using (var work = new BinaryWork(context, BinaryOptions.From(plan.Settings), _allowUnverified))
                {
                    await work.LinkDeclaredAsync(signals.Stop).ConfigureAwait(false);
                }

                if (InBackground)
                {
                    signals.OnHangup = () =>
                    {
                        log.Reopen();
                        run.Supervisor.ReopenLogs();
                    };
                }

                // In the background nobody watches, and every line already has its place in a log that is kept within bounds.
                exit = await new ForegroundRun(context, plan, run, board, loggers, signals, words)
                {
                    Follow = Follow && !InBackground && !context.Terminal.Json,
                    Quiet = Quiet,
                    WaitWithin = WaitWithin,
                    StartupWait = StartupWait,
                    Export = export,
                    ReadPlan = api => ReadPlan(plan, run.RunId, api),
                }.RunAsync(started).ConfigureAwait(false);
            }

            return run.Survivors.IsEmpty
                ? exit
                : throw new CliError(ExitCode.Failed, "SURVIVORS", $"still alive: {string.Join("; ", run.Survivors)}", "loom down --force");
        }
        catch (OperationCanceledException) when (signals.Stop.IsCancellationRequested)
        {
            return signals.First == PosixSignal.SIGINT ? ExitCode.Interrupted : ExitCode.Terminated;
        }
    }

    /// <summary>Judges the whole configuration; null when it has errors, which have been told.</summary>
    private HomePlan? Plan(AgentWish wish)
    {
        ProcessConfiguration.Tell(context.Terminal, First);
        if (!First.Ok)
        {
            return null;
        }

        var (plan, judged) = Judge(First, wish);
        if (plan is null)
        {
            ProcessConfiguration.Tell(context.Terminal, judged);
        }

        return plan;
    }

    /// <summary>Reads the plan of the agents anew, with the environment of this runtime.</summary>
    /// <param name="running">What runs: engines and pools stay as they are.</param>
    /// <param name="runId">Id of the run.</param>
    /// <param name="api">Address of the API as it is bound.</param>
    /// <exception cref="PlanRefusedException">It has errors.</exception>
    private PlanReading ReadPlan(HomePlan running, string runId, Uri? api)
    {
        var (plan, judged) = Judge(Load(), running.Wish);
        if (plan is null)
        {
            throw new PlanRefusedException(FaultText.Write(judged, starting: false, color: false).TrimEnd());
        }

        var config = RunningConfig.Content(plan.Settings, LoomRegistry.Instance);
        return new PlanReading((plan with { Serving = running.Serving }).Agents(runId, api).Plan, Convert.ToHexStringLower(SHA256.HashData(config))) { Systems = plan.Systems };
    }

    /// <summary>What a load asks for; no plan, and the load with what is wrong, when that cannot be run.</summary>
    private (HomePlan? Plan, LoadResult Judged) Judge(LoadResult loaded, AgentWish wish)
    {
        if (!loaded.Ok)
        {
            return (null, loaded);
        }

        var plan = HomePlanner.Plan(loaded.Snapshot, context, wish, _allowUnverified, _ports.Of, out var faults);
        plan = _dev && plan.Serving is { } serving ? plan with { Serving = serving with { Control = serving.Control with { Dev = true } } } : plan;
        return faults.IsEmpty ? (plan, loaded) : (null, loaded with { Faults = faults, Notes = [] });
    }

    private LoadResult Load() => ProcessConfiguration.Load(context, parse, LoomPart.Up, RunFlags.Values(parse).AsSpan());

    private async Task<ProjectRun?> StartRunAsync(HomePlan plan, byte[] config, ILoggerFactory loggers)
    {
        try
        {
            return await ProjectRun.StartAsync(
                new ProjectRunOptions
                {
                    ProjectFolder = plan.Settings.ProjectFolder,
                    Executable = context.Executable,
                    LoomVersion = Build.Current.Version,
                    Cgroup = plan.Runtime.Cgroup,
                    Mode = plan.Runtime.Mode == RuntimeMode.BridgeOnly ? "bridge-only" : "full",
                    ConfigSha256 = Convert.ToHexStringLower(SHA256.HashData(config)),
                    Time = context.Time,
                    Logger = loggers.CreateLogger("loom"),
                },
                signals.Stop).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            throw new CliError(ExitCode.Failed, "RUN_DIRECTORY", e.Message);
        }
        catch (SurvivorsException e)
        {
            throw new CliError(ExitCode.Failed, "SURVIVORS", e.Message, "loom down --force");
        }
    }
}
