using System.Buffers;
using System.CommandLine;
using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Gpus;
using Loom.Core.Settings;
using Loom.Core.Web;
using Loom.Harness.Api;
using Loom.Harness.Checkpoints;
using Loom.Harness.Execution;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness run</c>: a system in the foreground, to its end or to a stop.</summary>
internal static class HarnessRunVerb
{
    private const int NoState = 6;

    private static readonly Argument<string> s_directory = HarnessSession.DirectoryArgument();
    private static readonly Option<string?> s_deployment = HarnessSession.DeploymentOption();
    private static readonly Option<bool> s_fresh = new("--fresh") { Description = "Begin anew: earlier checkpoints are kept and not used" };
    private static readonly Option<string[]> s_dropState = new("--drop-state") { Description = "Give up the state of a component that is gone; may be given again", HelpName = "NAME" };
    private static readonly Option<bool> s_unlocked = new("--unlocked") { Description = "Run what the files say now, without build.lock; shown in health and in every record" };
    private static readonly Option<bool> s_strict = new("--strict") { Description = "Dead letters at the end are a failure (exit 4)" };
    private static readonly Option<int?> s_port = new("--port") { Description = "Port of health and metrics (default: that of harness.bind; 0 takes any)" };
    private static readonly Option<TimeSpan?> s_duration = DurationOption.Create("--duration", "Drain after this time");

    /// <param name="signals">Who asks it to stop.</param>
    public static Command Run(ProcessSignals signals)
    {
        var command = Verb.Create(
            "run",
            "Run a system until its data ends or it is stopped; a first Ctrl+C drains, a second cancels, a third ends at once",
            ["loom harness run samples/pipeline/log_stats", "loom harness run --unlocked --duration 1m", "loom harness run --fresh --strict"],
            (context, parse, stop) => RunAsync(context, parse, signals, null, stop));
        Add(command, s_directory, s_deployment, s_fresh, s_dropState, s_unlocked, s_strict, s_duration, s_port);
        return command;
    }

    /// <summary><c>loom harness resume</c>: a run from a checkpoint that is named.</summary>
    /// <param name="signals">Who asks it to stop.</param>
    public static Command Resume(ProcessSignals signals)
    {
        Option<string?> checkpoint = new("--checkpoint") { Description = "The checkpoint to go on from (default: the newest that is whole)", HelpName = "ID" };
        var command = Verb.Create(
            "resume",
            "Run a system from one of its checkpoints",
            ["loom harness resume samples/pipeline/enrich", "loom harness resume --checkpoint 1.42"],
            (context, parse, stop) => RunAsync(context, parse, signals, parse.GetValue(checkpoint), stop));
        Add(command, s_directory, s_deployment, s_unlocked, s_strict, s_duration, s_port, checkpoint);
        return command;
    }

    private static void Add(Command command, params Symbol[] symbols)
    {
        foreach (var symbol in symbols)
        {
            if (symbol is Argument argument)
            {
                command.Arguments.Add(argument);
            }
            else if (symbol is Option option)
            {
                command.Options.Add(option);
            }
        }
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, ProcessSignals signals, string? checkpoint, CancellationToken ct)
    {
        var session = HarnessSession.Open(context, parse, parse.GetValue(s_directory)!, parse.GetValue(s_deployment));
        signals.VerbOwnsStop = true;
        var instance = Guid.NewGuid().ToString("N")[..12];
        using var logging = new LoomLogging(null, _ => LogLevel.Warning, json: false, watch: null) { Stream = context.Terminal.Err };
        using var loggers = new LoggerFactory([logging], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        using var export = TelemetryExport.Start(session.Settings, "loom-harness", instance, logging, context.Time, loggers);
        var state = Directory.CreateDirectory(Path.Combine(session.Directory, ".loom", "harness")).FullName;
        await using var supervisor = GuardedSupervisor.Create(context, instance, state, loggers.CreateLogger("supervisor"));
        using var services = new HarnessServices(session.Settings, context.Time, loggers);
        var world = new HarnessWorld
        {
            Time = context.Time,
            Random = new Random(),
            Logs = loggers,
            Services = services,
            Options = session.Options,
            Environment = session.Environment,
            Supervisor = supervisor,
            Gpus = FixedGpus.None,
            Instance = instance,
        };
        var request = new HarnessRequest
        {
            Directory = session.Directory,
            Deployment = session.DeploymentFile,
            Fresh = parse.GetValue(s_fresh),
            DropState = parse.GetValue(s_dropState) ?? [],
            Unlocked = parse.GetValue(s_unlocked),
            Strict = parse.GetValue(s_strict),
            From = checkpoint,
        };
        try
        {
            await using var harness = await SystemExecutionHarness.LoadAsync(request, world, ct).ConfigureAwait(false);
            var bind = (session.Options.Bind ?? HostPort.TryParse("127.0.0.1:9000")!).Resolve();
            bind.Port = parse.GetValue(s_port) ?? bind.Port;
            var token = session.Settings.GetOrNull(SharedSettings.Token)?.Reveal();
            if (!IPAddress.IsLoopback(bind.Address) && token is null)
            {
                throw new CliError(ExitCode.Usage, "TOKEN_REQUIRED", $"harness.bind {bind} can be reached from other machines, and LLORCH_API_TOKEN is not set", "set LLORCH_API_TOKEN, or bind to 127.0.0.1");
            }

            using var over = parse.GetValue(s_duration) is { } time ? new CancellationTokenSource(time, context.Time) : new CancellationTokenSource();
            await using var listener = await HarnessListener.OpenAsync(harness, bind, services.Routes, token, over.Cancel, Environment.ProcessId, context.Time, loggers, ct).ConfigureAwait(false);
            var exit = await RunAsync(context, harness, signals, listener, over.Token).ConfigureAwait(false);
            export?.SendMetrics();
            return exit;
        }
        catch (SystemFilesException e)
        {
            FindingText.Write(context.Terminal, context.Terminal.Err, context.Terminal.Json ? [] : e.Findings);
            throw FindingText.Error(context.Terminal, e.Findings, e.IsLock ? HarnessExit.Lock : ExitCode.Usage, e.IsLock ? "loom harness lock, or --unlocked" : "loom harness check shows them all");
        }
        catch (PortTakenException e)
        {
            throw PortRemedy.Error(e, "harness run");
        }
        catch (StateRequiredException e)
        {
            throw new CliError(NoState, "NO_STATE", e.Message, "loom harness checkpoints verify");
        }
        finally
        {
            await supervisor.StopAllAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    private static async Task<int> RunAsync(VerbContext context, SystemExecutionHarness harness, ProcessSignals signals, HarnessListener listener, CancellationToken over)
    {
        foreach (var notice in harness.Notices)
        {
            context.Terminal.Note(notice);
        }

        if (harness.Unlocked)
        {
            context.Terminal.Note("unlocked: this run is not bound to build.lock");
        }

        context.Terminal.Note($"health and metrics: {listener.Address} (loom harness ps, tap, drain)");
        harness.Assembly.Run.Started = () => listener.Api.IsRunning = true;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(signals.Stop, over);
        using var done = new CancellationTokenSource();
        var lines = new RunLine(context, harness.Assembly).ShowAsync(done.Token);
        var result = await harness.RunAsync(new RunTokens(stop.Token, signals.Kill)).ConfigureAwait(false);
        await done.CancelAsync().ConfigureAwait(false);
        await lines.ConfigureAwait(false);
        Tell(context, harness, result);
        return signals.Kill.IsCancellationRequested ? signals.First == PosixSignal.SIGINT ? ExitCode.Interrupted : ExitCode.Terminated
            : result.ExitCode;
    }

    private static void Tell(VerbContext context, SystemExecutionHarness harness, RunResult result)
    {
        var snapshot = RunSnapshot.Of(harness.Assembly);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(Json(harness, result, snapshot));
            return;
        }

        foreach (var error in result.Errors)
        {
            context.Terminal.Err.WriteLine(context.Terminal.Paint(Tone.Bad, $"error: {error.Message}"));
        }

        context.Terminal.Note($"{harness.Assembly.Plan.Name} {result.Reason}: {Sum(snapshot, harness)}");
        foreach (var (stream, left) in result.Left)
        {
            context.Terminal.Note(string.Create(CultureInfo.InvariantCulture, $"  left in {stream}: {left}"));
        }
    }

    private static string Sum(RunSnapshot snapshot, SystemExecutionHarness harness)
    {
        var failed = snapshot.Components.Sum(c => c.Failed);
        var text = string.Create(CultureInfo.InvariantCulture, $"{snapshot.Read(harness.Assembly)} read, {failed} dead-lettered");
        return snapshot.Checkpoints is { Last: { } last } ? $"{text}, checkpoint {last.Id}" : text;
    }

    private static string Json(SystemExecutionHarness harness, RunResult result, RunSnapshot snapshot)
    {
        var text = new ArrayBufferWriter<byte>(4096);
        using (var w = new Utf8JsonWriter(text))
        {
            w.WriteStartObject();
            w.WriteString("system", harness.Assembly.Plan.Name);
            w.WriteString("version", harness.Assembly.Plan.Version);
            w.WriteNumber("exit", result.ExitCode);
            w.WriteString("reason", result.Reason);
            w.WriteBoolean("unlocked", harness.Unlocked);
            SystemJson.List(w, "errors", result.Errors, static (writer, e) => writer.WriteStringValue(e.Message));
            w.WriteStartObject("left");
            foreach (var (stream, left) in result.Left)
            {
                w.WriteNumber(stream, left);
            }

            w.WriteEndObject();
            SystemJson.Snapshot(w, snapshot);
            w.WriteString("checkpoint", snapshot.Checkpoints?.Last?.Id.ToString());
            w.WriteEndObject();
        }

        return Encoding.UTF8.GetString(text.WrittenSpan);
    }
}
