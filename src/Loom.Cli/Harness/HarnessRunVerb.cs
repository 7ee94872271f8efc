using System.CommandLine;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Web;
using Loom.Harness.Checkpoints;
using Loom.Harness.Execution;
using Loom.Harness.Execution.Scheduling;
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
    private static readonly Option<bool> s_watch = new("--watch") { Description = "Restart the whole system, by drain and resume, whenever its files or sources change and are right; without build.lock" };
    private static readonly Option<bool> s_step = new("--step") { Description = "Go on by one event for each key, or for each line of a piped input; q ends in order, c goes on without stops" };
    private static readonly Option<bool> s_strict = new("--strict") { Description = "Dead letters at the end are a failure (exit 4)" };
    private static readonly Option<int?> s_port = new("--port") { Description = "Port of health and metrics (default: that of harness.bind; 0 takes any)" };
    private static readonly Option<TimeSpan?> s_duration = DurationOption.Create("--duration", "Drain after this time");

    /// <param name="signals">Who asks it to stop.</param>
    public static Command Run(ProcessSignals signals)
    {
        var command = Verb.Create(
            "run",
            "Run a system until its data ends or it is stopped; a first Ctrl+C drains, a second cancels, a third ends at once",
            ["loom harness run samples/pipeline/log_stats", "loom harness run --unlocked --duration 1m", "loom harness run --fresh --strict", "loom harness run --watch", "loom harness run --step --fresh"],
            (context, parse, stop) => RunAsync(context, parse, signals, null, stop));
        Add(command, s_directory, s_deployment, s_fresh, s_dropState, s_unlocked, s_strict, s_watch, s_step, s_duration, s_port);
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
        if (parse.GetValue(s_watch) && parse.GetValue(s_step))
        {
            throw new CliError(ExitCode.Usage, "USAGE", "--watch and --step cannot be had together", "loom harness run --step");
        }

        var session = HarnessSession.Open(context, parse, parse.GetValue(s_directory)!, parse.GetValue(s_deployment));
        (signals.VerbOwnsStop, signals.ThirdEnds) = (true, true);
        var instance = Guid.NewGuid().ToString("N")[..12];
        using var logging = new LoomLogging(null, _ => LogLevel.Warning, json: false, watch: null) { Stream = context.Terminal.Err };
        using var loggers = new LoggerFactory([logging], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        using var export = TelemetryExport.Start(session.Settings, "loom-harness", instance, logging, context.Time, loggers);
        var state = Directory.CreateDirectory(Path.Combine(session.Directory, ".loom", "harness")).FullName;
        await using var supervisor = GuardedSupervisor.Create(context, instance, state, loggers.CreateLogger("supervisor"));
        var request = new HarnessRequest
        {
            Directory = session.Directory,
            Deployment = session.DeploymentFile,
            Fresh = parse.GetValue(s_fresh),
            DropState = parse.GetValue(s_dropState) ?? [],
            Unlocked = parse.GetValue(s_unlocked) || parse.GetValue(s_watch),
            Strict = parse.GetValue(s_strict),
            From = checkpoint,
        };
        try
        {
            using var over = parse.GetValue(s_duration) is { } time ? new CancellationTokenSource(time, context.Time) : new CancellationTokenSource();
            var runner = new HarnessRunner(context, session, signals, loggers, supervisor, instance) { Export = export };
            var port = parse.GetValue(s_port);
            return parse.GetValue(s_watch) ? await new WatchedRun(context, session, runner, signals).RunAsync(request, port, over.Token).ConfigureAwait(false)
                : parse.GetValue(s_step) ? await SteppedAsync(context, runner, signals, request, port, over).ConfigureAwait(false)
                : await runner.RunAsync(request, port, over.Token, ct).ConfigureAwait(false);
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
        catch (SystemRunsException e)
        {
            throw new CliError(ExitCode.Failed, "RUNS_ALREADY", e.Message, "loom harness ps");
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

    private static async Task<int> SteppedAsync(VerbContext context, HarnessRunner runner, ProcessSignals signals, HarnessRequest request, int? port, CancellationTokenSource over)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(signals.Stop, over.Token);
        var stepper = new Stepper(context.Terminal, over.Cancel, stop.Token);
        context.Terminal.Note(stepper.Help);
        var scheduler = new DeterministicScheduler(Environment.TickCount, context.Time.GetUtcNow()) { Step = stepper.Ask, Pace = Stepper.Pace };
        return await runner.RunAsync(request with { Scheduler = scheduler }, port, over.Token, CancellationToken.None).ConfigureAwait(false);
    }
}
