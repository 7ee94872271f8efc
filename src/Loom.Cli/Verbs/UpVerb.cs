using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Logs;
using Loom.Cli.Terminal;
using Loom.Control;
using Loom.Core.Settings;
using Loom.Processes;
using Loom.Processes.Logs;
using Loom.Processes.Probes;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Verbs;

/// <summary><c>loom up</c>: runs the project in the foreground until it is asked to stop, or hands it to the background.</summary>
internal static class UpVerb
{
    private static readonly Option<bool> s_detach = new("--detach", "-d") { Description = "Run in the background; returns when it is ready" };
    private static readonly Option<bool> s_noLogs = new("--no-logs") { Description = "Do not print what processes write" };
    private static readonly Option<bool> s_allowUnverified = new("--allow-unverified") { Description = "Accept downloads without a known checksum, and mark them so" };

    private static readonly Option<FileInfo?> s_output = new(DetachedUp.OutputOption) { Description = "Where a detached run writes", Hidden = true };

    public static Command Create(ProcessSignals signals)
    {
        var command = Verb.Create(
            "up",
            "Run the project: engines, models and the API",
            ["loom up", "loom up -C samples/quickstart", "loom up -d && loom status", "loom up --set serving.bind=127.0.0.1:9000"],
            (context, parse, _) => parse.GetValue(s_detach)
                ? DetachedUp.RunAsync(context, parse, signals.Stop)
                : parse.GetValue(s_output) is { } file ? RunToFileAsync(context, parse, signals, file)
                : RunAsync(context, parse, signals));
        foreach (var option in new Option[] { s_detach, s_noLogs, s_allowUnverified, s_output })
        {
            command.Options.Add(option);
        }

        return command;
    }

    private static async Task<int> RunToFileAsync(VerbContext context, ParseResult parse, ProcessSignals signals, FileInfo file)
    {
        var writer = new StreamWriter(file.FullName) { AutoFlush = true };
        await using (writer.ConfigureAwait(false))
        {
            context = context.WritingTo(writer);
            try
            {
                return await RunAsync(context, parse, signals).ConfigureAwait(false);
            }
            catch (CliError error)
            {
                error.WriteTo(context.Terminal);
                return error.Exit;
            }
        }
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, ProcessSignals signals)
    {
        var started = context.Time.GetTimestamp();
        if (ProcessConfiguration.LoadStrict(context, parse, LoomPart.Up) is not { } settings)
        {
            return ExitCode.Usage;
        }

        // Read by the socket engine at its first use: completions run where they arrive instead of hopping to the thread pool, which halves what the gateway
        // adds to a first token. Nothing on that path blocks. Set after the environment was captured, so that children do not inherit it.
        Environment.SetEnvironmentVariable("DOTNET_SYSTEM_NET_SOCKETS_INLINE_COMPLETIONS", "1");
        var plan = HomePlanner.Plan(settings, context, parse.GetValue(s_allowUnverified));
        Directory.CreateDirectory(plan.Runtime.LogsDir);
        using var log = new SharedLog(Path.Combine(plan.Runtime.LogsDir, "loom.log"), new LogOptions(), context.Time);
        using var board = new TaskBoard(context.Terminal, context.Time);
        using var logging = new LoomLogging(log, settings.Get(SharedSettings.Log).LevelOf, plan.Runtime.JsonLog, (_, line) => board.Print(context.Terminal.Paint(Tone.Busy, "loom: ") + line));
        using var loggers = new LoggerFactory([logging], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        try
        {
            var run = await StartRunAsync(context, settings.ProjectFolder, loggers, signals.Stop).ConfigureAwait(false);
            if (run is null)
            {
                return await AttachAsync(context, settings.ProjectFolder, signals.Stop).ConfigureAwait(false);
            }

            int exit;
            await using (run.ConfigureAwait(false))
            {
                RunningConfig.Write(settings, LoomRegistry.Instance);
                if (parse.GetValue(s_output) is not null)
                {
                    signals.OnHangup = () =>
                    {
                        log.Reopen();
                        run.Supervisor.ReopenLogs();
                    };
                }

                exit = await RunProjectAsync(context, parse, plan, run, board, loggers, signals, started).ConfigureAwait(false);
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

    private static async Task<int> RunProjectAsync(
        VerbContext context, ParseResult parse, HomePlan plan, ProjectRun run, TaskBoard board, ILoggerFactory loggers, ProcessSignals signals, long started)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(signals.Stop, run.DownRequested);
        using var patience = new CancellationTokenSource(plan.Runtime.StartupTimeout, context.Time);
        using var starting = CancellationTokenSource.CreateLinkedTokenSource(stop.Token, patience.Token);
        HomeRuntime runtime;
        try
        {
            runtime = await HomeRuntime.StartAsync(plan, run, new ProgressOnBoard(board), context.Time, loggers, starting.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            throw new CliError(ExitCode.TimedOut, "START_TIMEOUT", $"the API was not open within {plan.Runtime.StartupTimeout.TotalSeconds:0} s (runtime.startup_timeout)", "loom logs loom");
        }
        catch (PortTakenException e)
        {
            var holder = PortHolder.Find(e.EndPoint.Port);
            var message = holder is null ? e.Message : $"port {e.EndPoint.Port} ({NamesOf(e.Setting)}) is in use by {holder}";
            throw new CliError(ExitCode.Usage, "PORT_TAKEN", message, $"end that program, or choose another address: loom up --set {e.Setting}=127.0.0.1:{e.EndPoint.Port + 1}");
        }

        await using (runtime.ConfigureAwait(false))
        {
            var ready = false;
            try
            {
                var replicas = await runtime.SettledAsync(r => Show(board, r), stop.Token).ConfigureAwait(false);
                ready = replicas.Any(r => r.State == ReplicaState.Ready);
                if (!ready)
                {
                    board.Dispose();
                    return Fail(context, run, replicas);
                }

                board.Dispose();
                Announce(context, run, runtime, replicas, context.Time.GetElapsedTime(started));
                using var following = parse.GetValue(s_noLogs) || context.Terminal.Json ? null : Follow(context.Terminal, run.Supervisor);
                await Task.Delay(Timeout.InfiniteTimeSpan, context.Time, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
            }

            board.Dispose();
            await StopAsync(context, run, runtime, plan, signals).ConfigureAwait(false);
            return run.DownRequested.IsCancellationRequested ? ExitCode.Ok
                : signals.First == PosixSignal.SIGINT ? ExitCode.Interrupted
                : ready ? ExitCode.Ok
                : ExitCode.Terminated;
        }
    }

    private static async Task StopAsync(VerbContext context, ProjectRun run, HomeRuntime runtime, HomePlan plan, ProcessSignals signals)
    {
        context.Terminal.Note("stopping (a second Ctrl-C ends everything at once)");
        using var patience = new CancellationTokenSource(plan.Runtime.ShutdownTimeout, context.Time);
        using var hurry = CancellationTokenSource.CreateLinkedTokenSource(patience.Token, signals.Kill);
        var stopping = runtime.StopAsync(hurry.Token);
        var shown = TimeSpan.FromMilliseconds(500);
        await Task.WhenAny(stopping, Task.Delay(shown, context.Time, CancellationToken.None)).ConfigureAwait(false);
        if (!stopping.IsCompleted)
        {
            foreach (var process in run.Supervisor.Processes.Where(p => p.Pid is not null && p.State == ProcessState.Stopping))
            {
                context.Terminal.Note($"waiting for {process.Name} (pid {process.Pid}), at most {process.Grace.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture)} s");
            }
        }

        await stopping.ConfigureAwait(false);
    }

    private static async Task<ProjectRun?> StartRunAsync(VerbContext context, string folder, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        try
        {
            return await ProjectRun.StartAsync(
                new ProjectRunOptions
                {
                    ProjectFolder = folder,
                    Executable = context.Executable,
                    LoomVersion = Build.Current.Version,
                    Time = context.Time,
                    Logger = loggers.CreateLogger("loom"),
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
    }

    // One runtime per project: a second up says where the first one is, and on a terminal follows its output.
    private static async Task<int> AttachAsync(VerbContext context, string folder, CancellationToken stop)
    {
        var state = await ProjectRun.FindLiveAsync(folder, context.Time, Down.AnswerWithin, stop).ConfigureAwait(false)
            ?? throw new CliError(ExitCode.Conflict, "LOCKED", $"the lock of {folder} is held, but its holder does not show itself", "loom down");
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(ReadyJson.Of(state, []));
            return ExitCode.Ok;
        }

        context.Terminal.Note($"already running since {state.StartedAt.ToString("u", CultureInfo.InvariantCulture)}: {state.Addresses.GetValueOrDefault("api")}/v1");
        if (!context.Terminal.CanAsk)
        {
            return ExitCode.Ok;
        }

        context.Terminal.Note("following its output; Ctrl-C detaches, loom down stops it");
        var printer = new LogPrinter(context.Terminal, new LogView(null, null, false, false));
        await foreach (var line in new ControlClient(state.Socket).FollowAsync(null, 0, stop).ConfigureAwait(false))
        {
            printer.Print(new Logs.LogLine(line.Name, line.At, line.Text));
        }

        return ExitCode.Ok;
    }

    private static void Show(TaskBoard board, IEnumerable<ReplicaStatus> replicas)
    {
        foreach (var replica in replicas.Where(r => r.State != ReplicaState.Stopped))
        {
            var (mark, text) = replica.State switch
            {
                ReplicaState.Ready => (TaskMark.Done, $"{replica.EngineKind}, model {replica.Model}{(replica.Mock ? ", mock" : "")}"),
                ReplicaState.Failed => (TaskMark.Failed, replica.LastError ?? "failed"),
                ReplicaState.Provisioning => (TaskMark.Waiting, "waits for engine and model"),
                ReplicaState.Starting => (TaskMark.Running, "starting, loading the model"),
                _ => (TaskMark.Running, replica.LastError ?? "not ready"),
            };
            board.Set($"pool {replica.Id.PoolId}/{replica.Id.ReplicaName}", mark, text, replica.LoadPercent);
        }
    }

    private static int Fail(VerbContext context, ProjectRun run, IReadOnlyList<ReplicaStatus> replicas)
    {
        foreach (var replica in replicas)
        {
            var tail = run.Supervisor.Processes.Any(p => string.Equals(p.Name, $"engine-{replica.Id.PoolId}-{replica.Id.ReplicaName}", StringComparison.Ordinal))
                ? run.Supervisor.Tail($"engine-{replica.Id.PoolId}-{replica.Id.ReplicaName}", 20)
                : [];
            foreach (var line in tail)
            {
                context.Terminal.Err.WriteLine($"  {replica.Id.PoolId}/{replica.Id.ReplicaName} | {line}");
            }
        }

        var first = replicas.First(r => r.State == ReplicaState.Failed);
        throw new CliError(ExitCode.Failed, "NO_POOL_STARTED", $"no pool could start; {first.Id.PoolId}/{first.Id.ReplicaName}: {first.LastError}", "loom doctor; loom logs");
    }

    private static void Announce(VerbContext context, ProjectRun run, HomeRuntime runtime, IReadOnlyList<ReplicaStatus> replicas, TimeSpan took)
    {
        run.SetReady();
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(ReadyJson.Of(run.State, replicas));
            context.Terminal.Out.Flush();
            return;
        }

        var seconds = took.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture);
        context.Terminal.Note($"{context.Terminal.Paint(Tone.Good, "ready")} in {seconds} s: {runtime.Api.GetLeftPart(UriPartial.Authority)}/v1  (models: {string.Join(", ", replicas.SelectMany(r => r.Models).Distinct(StringComparer.Ordinal))})");
        if (runtime.Metrics is { } metrics)
        {
            context.Terminal.Note($"metrics: {metrics.GetLeftPart(UriPartial.Authority)}/metrics  (token: .loom/run/token)");
        }

        if (replicas.Any(r => r.Mock))
        {
            context.Terminal.Note(context.Terminal.Paint(Tone.Busy, "mock engines answer here; everything they say is marked mock"));
        }
    }

    private static string NamesOf(string key) =>
        LoomRegistry.Instance.Find(key.Split('.')) is { Variables: [var variable, ..] } ? $"{key}, {variable}" : key;

    private static IDisposable Follow(Terminal.Terminal terminal, ISupervisor supervisor)
    {
        var printer = new LogPrinter(terminal, new LogView(null, null, false, false));
        return supervisor.FollowOutput(line => printer.Print(new Logs.LogLine(line.Name, line.At, line.Text)));
    }
}

/// <summary>The document <c>loom up --json</c> prints when the project is ready.</summary>
internal sealed record ReadyDocument(int Schema, string RunId, int Pid, IReadOnlyDictionary<string, string> Addresses, IReadOnlyList<ReadyPool> Pools);

internal sealed record ReadyPool(string Pool, string Replica, string State, string Engine, string Model, bool Mock, string? LastError);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ReadyDocument))]
internal sealed partial class ReadyJson : JsonSerializerContext
{
    public static string Of(RunState state, IEnumerable<ReplicaStatus> replicas)
    {
        var pools = replicas.Select(r => new ReadyPool(r.Id.PoolId, r.Id.ReplicaName, r.State.ToString().ToLowerInvariant(), r.EngineKind, r.Model, r.Mock, r.LastError));
        return JsonSerializer.Serialize(new ReadyDocument(1, state.RunId, state.Supervisor.Pid, state.Addresses, [.. pools]), Default.ReadyDocument);
    }
}
