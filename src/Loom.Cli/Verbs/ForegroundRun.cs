using System.Globalization;
using System.Runtime.InteropServices;
using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Cli.Logs;
using Loom.Cli.Terminal;
using Loom.Control;
using Loom.Processes;
using Loom.Processes.Probes;
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
/// <param name="follow">Print what the processes write, once ready.</param>
internal sealed class ForegroundRun(
    VerbContext context, HomePlan plan, ProjectRun run, TaskBoard board, ILoggerFactory loggers, ProcessSignals signals, bool follow)
{
    private static readonly TimeSpan s_quietStop = TimeSpan.FromMilliseconds(500);

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
                var ready = await ServeAsync(runtime, started, stop.Token).ConfigureAwait(false);
                board.Dispose();
                ThrowIfBroken();
                await StopAsync(runtime).ConfigureAwait(false);
                return run.DownRequested.IsCancellationRequested || (ready && signals.First != PosixSignal.SIGINT) ? ExitCode.Ok : OfSignal();
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Before there was anything to stop in order.
            ThrowIfBroken();
            return run.DownRequested.IsCancellationRequested ? ExitCode.Ok : OfSignal();
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
            return await HomeRuntime.StartAsync(plan, run, new PortBook(FreePort.Pick).Of, new ProgressOnBoard(board), context.Time, loggers, starting.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            throw new CliError(ExitCode.TimedOut, "START_TIMEOUT", $"the API was not open within {plan.Runtime.StartupTimeout.TotalSeconds:0} s (runtime.startup_timeout)", "loom logs loom");
        }
        catch (PortTakenException e)
        {
            var holder = PortHolder.Find(e.EndPoint.Port);
            var message = holder is null ? e.Message : $"port {e.EndPoint.Port} ({NamesOf(e.Setting)}) is in use by {holder}";
            throw new CliError(ExitCode.Usage, "PORT_TAKEN", message, $"end that program, or choose another address: {PortRemedy.For(e.Setting, e.EndPoint)}");
        }
    }

    /// <summary>Starts the agents, waits for the pools, says that they are ready, and serves until the stop.</summary>
    /// <returns>False when the stop came before anything was ready.</returns>
    private async Task<bool> ServeAsync(HomeRuntime runtime, long started, CancellationToken stop)
    {
        using var telling = context.Terminal.Json ? null : run.Supervisor.Subscribe(Tell);
        try
        {
            await StartAgentsAsync(runtime.Agents, stop).ConfigureAwait(false);
            var replicas = runtime.Serving is { } serving ? await serving.SettledAsync(r => UpScreen.Show(board, r), stop).ConfigureAwait(false) : [];
            board.Dispose();
            if (runtime.Agents.Plan.Agents.IsEmpty && !replicas.Any(r => r.State == ReplicaState.Ready))
            {
                throw UpScreen.NothingStarted(context.Terminal, run.Supervisor, replicas);
            }

            run.SetReady();
            UpScreen.Announce(context.Terminal, run.State, runtime, replicas, context.Time.GetElapsedTime(started));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            return false;
        }

        using var following = follow ? Follow() : null;
        await Task.Delay(Timeout.InfiniteTimeSpan, context.Time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return true;
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
            board.Print(line);
        }
    }

    private async Task StopAsync(HomeRuntime runtime)
    {
        context.Terminal.Note("stopping (a second Ctrl-C ends everything at once)");
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

    private IDisposable Follow()
    {
        var printer = new LogPrinter(context.Terminal, new LogView(null, null, false, false));
        return run.Supervisor.FollowOutput(line => printer.Print(new Logs.LogLine(line.Name, line.At, line.Text)));
    }

    private static string NamesOf(string key) =>
        LoomRegistry.Instance.Find(key.Split('.')) is { Variables: [var variable, ..] } ? $"{key}, {variable}" : key;
}
