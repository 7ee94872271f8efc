using System.Globalization;
using System.Runtime.InteropServices;
using Loom.Agents.Discovery;
using Loom.Agents.Orchestration;
using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Cli.Logs;
using Loom.Cli.Systemd;
using Loom.Cli.Terminal;
using Loom.Core.Telemetry;
using Loom.Core.Web;
using Loom.Node.Inventory;
using Loom.Processes;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Verbs;

/// <summary>The life of <c>loom up</c> from the moment it holds the project: start, serve, stop in order, whichever of them is interrupted.</summary>
/// <param name="context">Terminal and clock.</param>
/// <param name="plan">What runs.</param>
/// <param name="run">The project's run; disposed by the caller.</param>
/// <param name="board">Progress of the start.</param>
/// <param name="loggers">Loom's own log.</param>
/// <param name="signals">Who asks it to stop.</param>
/// <param name="words">Takes what the supervisor's threads have to say to the terminal.</param>
internal sealed class ForegroundRun(VerbContext context, HomePlan plan, ProjectRun run, TaskBoard board, ILoggerFactory loggers, ProcessSignals signals, WordRelay words)
{
    private static readonly TimeSpan s_quietStop = TimeSpan.FromMilliseconds(500);

    /// <summary>Print what the processes write, once ready.</summary>
    public bool Follow { get; init; }

    /// <summary>The terminal belongs to a script: say nothing that is not an error.</summary>
    public bool Quiet { get; init; }

    /// <summary>Be ready only when every agent is, and give up after this time; null = agents are not waited for.</summary>
    public TimeSpan? WaitWithin { get; init; }

    /// <summary>Time after which one line says that the start goes on; null = none.</summary>
    public TimeSpan? StartupWait { get; init; }

    /// <summary>Where metrics are sent; null = nowhere.</summary>
    public OtlpExport? Export { get; init; }

    /// <summary>Reads the plan of the agents anew, given the API's address.</summary>
    public required Func<Uri?, PlanReading> ReadPlan { get; init; }

    /// <summary>Runs until somebody asks it to stop, by signal or <c>loom down</c>.</summary>
    /// <param name="started">Timestamp of the command's begin.</param>
    /// <returns>The exit code.</returns>
    public async Task<int> RunAsync(long started)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(signals.Stop, run.DownRequested, run.Broken);
        try
        {
            var runtime = await StartAsync(stop.Token).ConfigureAwait(false);
            await using (runtime.ConfigureAwait(false))
            {
                var (ready, exit) = await ServeOrStopAsync(runtime, started, stop.Token).ConfigureAwait(false);
                board.Dispose();
                ThrowIfBroken();
                await StopAsync(runtime).ConfigureAwait(false);
                return exit ?? (run.DownRequested.IsCancellationRequested || (ready && signals.First != PosixSignal.SIGINT) ? ExitCode.Ok : OfSignal());
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Before there was anything to stop in order.
            ThrowIfBroken();
            return run.DownRequested.IsCancellationRequested ? ExitCode.Ok : OfSignal();
        }
    }

    /// <summary>Serves; a start that failed is stopped as patiently as any other before it is told.</summary>
    private async Task<(bool Ready, int? Exit)> ServeOrStopAsync(HomeRuntime runtime, long started, CancellationToken stop)
    {
        try
        {
            return await ServeAsync(runtime, started, stop).ConfigureAwait(false);
        }
        catch (CliError) when (!run.Broken.IsCancellationRequested)
        {
            board.Dispose();
            await StopAsync(runtime).ConfigureAwait(false);
            throw;
        }
    }

    private int OfSignal() => signals.First == PosixSignal.SIGINT ? ExitCode.Interrupted : ExitCode.Terminated;

    private void ThrowIfBroken()
    {
        if (run.Broken.IsCancellationRequested)
        {
            throw new CliError(
                ExitCode.Failed,
                "SUPERVISOR_FAILED",
                $"the supervisor has failed and watches nothing any more: {run.Fault?.Message}; the guardian ends all processes of this run",
                "loom up, and report this with .loom/logs/loom.log");
        }
    }

    private async Task<HomeRuntime> StartAsync(CancellationToken stop)
    {
        using var patience = new CancellationTokenSource(plan.Runtime.StartupTimeout, context.Time);
        using var starting = CancellationTokenSource.CreateLinkedTokenSource(stop, patience.Token);
        try
        {
            return await HomeRuntime.StartAsync(plan, run, new ProgressOnBoard(board), Export, context.Time, loggers, starting.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            throw new CliError(ExitCode.TimedOut, "START_TIMEOUT", $"the API was not open within {plan.Runtime.StartupTimeout.TotalSeconds:0} s (runtime.startup_timeout)", "loom logs loom");
        }
        catch (GpuMaskException e)
        {
            throw new CliError(ExitCode.Usage, "CONFIGURATION", e.Message, "name one of them, or none for the CPU; loom doctor shows them");
        }
        catch (PortTakenException e)
        {
            throw PortRemedy.Error(e, "up");
        }
    }

    /// <summary>Starts the agents, waits for the pools, says that they are ready, and serves until the stop, or until what it was started for has ended.</summary>
    /// <returns>Whether it ever was ready, and the exit code of what has ended; null = it was stopped.</returns>
    private async Task<(bool Ready, int? Exit)> ServeAsync(HomeRuntime runtime, long started, CancellationToken stop)
    {
        run.ShowAgents(new ProjectAgents(runtime.Agents, _ => Task.FromResult(ReadPlan(runtime.Serving?.Api))));
        using var notifier = Notifier.Of(context.Environment, context.Time, loggers.CreateLogger("systemd"));
        using var notice = Notice(started);
        using var telling = context.Terminal.Json || Quiet ? null : run.Supervisor.Subscribe(Tell);
        using var following = Follow ? Following() : null;
        try
        {
            // A script that gets the terminal must not share it with our progress; the others wait for what they name, not for everything.
            var late = plan.Wish.Kind == RosterKind.Script;
            if (!late)
            {
                await StartAgentsAsync(runtime.Agents, stop).ConfigureAwait(false);
            }

            var replicas = runtime.Serving is { } serving ? await serving.SettledAsync(r => UpScreen.Show(board, r), stop).ConfigureAwait(false) : [];
            if (runtime.Agents.Plan.Agents.IsEmpty && runtime.Serving is not null && !replicas.Any(r => r.State == ReplicaState.Ready || UpScreen.RestsOnDemand(r)))
            {
                board.Dispose();
                throw UpScreen.NothingStarted(context.Terminal, run.Supervisor, replicas);
            }

            if (WaitWithin is { } limit)
            {
                await new AgentWait(context.Time, run.Supervisor, context.Terminal).ReadyAsync(runtime.Agents, limit, stop).ConfigureAwait(false);
            }

            board.Dispose();
            if (late)
            {
                await StartAgentsAsync(runtime.Agents, stop).ConfigureAwait(false);
            }

            run.SetReady();
            notifier.Ready("ready");
            notifier.KeepAlive(() => !run.Broken.IsCancellationRequested && runtime.Fault is null);
            if (!Quiet)
            {
                UpScreen.Announce(context.Terminal, run.State, runtime, replicas, context.Time.GetElapsedTime(started));
            }

            return (true, await EndAsync(runtime, stop).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return (run.State.Ready, null);
        }
        finally
        {
            notifier.Stopping("stopping");
        }
    }

    /// <summary>Serves until what it was started for has ended; <c>up</c> is started for no end of its own.</summary>
    /// <exception cref="CliError">The owner of the agents has failed.</exception>
    private async Task<int> EndAsync(HomeRuntime runtime, CancellationToken stop)
    {
        var end = !plan.Wish.EndsByItself ? NeverAsync(stop)
            : runtime.Agents.Plan.Agents.Any(a => a.IsMain) ? EndOfMainAsync(runtime.Agents, stop)
            : EndOfAllAsync(runtime.Agents, stop);
        await Task.WhenAny(end, runtime.Agents.Completion).ConfigureAwait(false);
        if (runtime.Fault is { } fault && !end.IsCompleted)
        {
            throw new CliError(ExitCode.Failed, "AGENTS_FAILED", $"the owner of the agents has failed: {fault.Message}; everything is being stopped", "loom up, and report this with .loom/logs/loom.log");
        }

        return await end.ConfigureAwait(false);
    }

    private async Task<int> NeverAsync(CancellationToken stop)
    {
        await Task.Delay(Timeout.InfiniteTimeSpan, context.Time, stop).ConfigureAwait(false);
        return ExitCode.Ok;
    }

    private static async Task<int> EndOfMainAsync(AgentHost agents, CancellationToken stop) => (await agents.MainEnded.WaitAsync(stop).ConfigureAwait(false)).ExitCode;

    private static async Task<int> EndOfAllAsync(AgentHost agents, CancellationToken stop)
    {
        var ended = await agents.WaitAsync(
            null,
            static all => all.All(a => a.State is ProcessState.Completed or ProcessState.Failed or ProcessState.Skipped or ProcessState.Stopped or ProcessState.Blocked),
            stop).ConfigureAwait(false);
        return ended.All(a => a.State == ProcessState.Completed) ? ExitCode.Ok : ExitCode.Failed;
    }

    private async Task StartAgentsAsync(AgentHost agents, CancellationToken stop)
    {
        try
        {
            await agents.StartAsync(plan.Wish.Names, plan.Wish.WithDependencies, stop).ConfigureAwait(false);
        }
        catch (UnknownAgentException e)
        {
            throw new CliError(ExitCode.NotRunning, "UNKNOWN_AGENT", e.Message, "loom up --dry-run lists the agents");
        }
    }

    // One line for each change that a person waits for or should look at.
    private void Tell(ProcessSnapshot process)
    {
        if (process.Kind == ProcessKind.Agent && UpScreen.Line(context.Terminal, process) is { } line)
        {
            words.Post(() => board.Print(line));
        }
    }

    private async Task StopAsync(HomeRuntime runtime)
    {
        if (!Quiet)
        {
            context.Terminal.Note("stopping (a second Ctrl-C ends everything at once)");
        }

        using var patience = new CancellationTokenSource(plan.Runtime.ShutdownTimeout, context.Time);
        using var hurry = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, signals.Kill);
        var stopping = runtime.StopAsync(hurry.Token);
        await Task.WhenAny(stopping, Task.Delay(s_quietStop, context.Time, CancellationToken.None)).ConfigureAwait(false);
        if (!stopping.IsCompleted)
        {
            foreach (var process in run.Supervisor.Processes.Where(p => p.Pid is not null && p.State == ProcessState.Stopping))
            {
                context.Terminal.Note($"waiting for {process.Name} (pid {process.Pid}), at most {process.Grace.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture)} s");
            }
        }

        // A supervisor that fails now cannot finish the stop; its guardian does.
        await stopping.WaitAsync(run.Broken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        ThrowIfBroken();
        await stopping.ConfigureAwait(false);
    }

    /// <summary>Says once that the start takes long.</summary>
    private ITimer? Notice(long started) => StartupWait is not { } wait ? null : context.Time.CreateTimer(
        _ =>
        {
            if (!run.State.Ready)
            {
                board.Print($"still starting after {context.Time.GetElapsedTime(started).TotalSeconds:0} s; loom status shows what is waited for");
            }
        },
        null,
        wait,
        Timeout.InfiniteTimeSpan);

    private IDisposable Following()
    {
        var printer = new LogPrinter(context.Terminal, new LogView(null, null, false, false));
        return run.Supervisor.FollowOutput(line => words.Post(() => printer.Print(new Logs.LogLine(line.Name, line.At, line.Text, line.IsError))));
    }
}
