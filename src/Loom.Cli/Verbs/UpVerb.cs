using System.CommandLine;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Terminal;
using Loom.Core.Settings;
using Loom.Processes;
using Loom.Processes.Logs;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Verbs;

/// <summary><c>loom up</c>: runs the project in the foreground until it is asked to stop, or hands it to the background.</summary>
internal static class UpVerb
{
    private static readonly Option<bool> s_detach = new("--detach", "-d") { Description = "Run in the background; returns when it is ready" };
    private static readonly Option<bool> s_noLogs = new("--no-logs") { Description = "Do not print what processes write" };
    private static readonly Option<bool> s_allowUnverified = new("--allow-unverified") { Description = "Accept downloads without a known checksum, and mark them so" };

    private static readonly Option<bool> s_background = new(DetachedUp.BackgroundOption) { Description = "Marks the command that --detach launches", Hidden = true };

    public static Command Create(ProcessSignals signals)
    {
        var command = Verb.Create(
            "up",
            "Run the project: engines, models and the API",
            ["loom up", "loom up -C samples/quickstart", "loom up -d && loom status", "loom up --set serving.bind=127.0.0.1:9000"],
            (context, parse, cancellationToken) => parse.GetValue(s_detach)
                ? DetachedUp.RunAsync(context, DetachedUp.Arguments(parse, s_detach), FlagTwins.VariableOf(s_detach), cancellationToken)
                : RunAsync(context, parse, signals));
        foreach (var option in new Option[] { s_detach, s_noLogs, s_allowUnverified, s_background })
        {
            command.Options.Add(option);
        }

        return command;
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
        var background = parse.GetValue(s_background);
        var plan = HomePlanner.Plan(settings, context, parse.GetValue(s_allowUnverified));
        Directory.CreateDirectory(plan.Runtime.LogsDir);
        using var log = new SharedLog(Path.Combine(plan.Runtime.LogsDir, "loom.log"), new LogOptions(), context.Time);
        using var board = new TaskBoard(context.Terminal, context.Time);
        using var logging = new LoomLogging(
            log,
            settings.Get(SharedSettings.Log).LevelOf,
            plan.Runtime.JsonLog,
            (_, line) => board.Print(context.Terminal.Paint(Tone.Busy, "loom: ") + line),
            new SecretMask(SecretValues.From(settings)),
            context.Terminal.Verbose ? LogLevel.Information : LogLevel.Warning);
        using var loggers = new LoggerFactory([logging], new LoggerFilterOptions { MinLevel = LogLevel.Trace });
        try
        {
            var config = RunningConfig.Content(settings, LoomRegistry.Instance);
            var run = await StartRunAsync(context, settings.ProjectFolder, config, loggers, signals.Stop).ConfigureAwait(false);
            if (run is null)
            {
                return await SecondUp.RunAsync(context, settings.ProjectFolder, signals.Stop).ConfigureAwait(false);
            }

            int exit;
            await using (run.ConfigureAwait(false))
            {
                RunningConfig.Write(settings.ProjectFolder, config);
                if (background)
                {
                    signals.OnHangup = () =>
                    {
                        log.Reopen();
                        run.Supervisor.ReopenLogs();
                    };
                }

                // In the background nobody watches, and every line already has its place in a log that is kept within bounds.
                var follow = !background && !parse.GetValue(s_noLogs) && !context.Terminal.Json;
                exit = await new ForegroundRun(context, plan, run, board, loggers, signals, follow).RunAsync(started).ConfigureAwait(false);
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

    private static async Task<ProjectRun?> StartRunAsync(VerbContext context, string folder, byte[] config, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        try
        {
            return await ProjectRun.StartAsync(
                new ProjectRunOptions
                {
                    ProjectFolder = folder,
                    Executable = context.Executable,
                    LoomVersion = Build.Current.Version,
                    ConfigSha256 = Convert.ToHexStringLower(SHA256.HashData(config)),
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
}
