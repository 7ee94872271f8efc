using System.CommandLine;
using Loom.Cli.Binaries;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom up</c>: runs the project in the foreground until it is asked to stop, or hands it to the background.</summary>
internal static class UpVerb
{
    private static readonly Option<bool> s_detach = new("--detach", "-d") { Description = "Run in the background; returns when it is ready" };
    private static readonly Option<bool> s_noLogs = new("--no-logs") { Description = "Do not print what processes write" };
    private static readonly Option<bool> s_noDeps = new("--no-deps") { Description = "With NAME: do not start what they depend on, and do not wait for it" };
    private static readonly Option<bool> s_watch = new("--watch") { Description = "Reload every agent whose script changes" };
    private static readonly Option<bool> s_noWatch = new("--no-watch") { Description = "Reload none, whatever loom.toml says" };
    private static readonly Argument<string[]> s_names = new("NAME") { Description = "Agents to start, with what they depend on (default: all)", Arity = ArgumentArity.ZeroOrMore };

    private static readonly Option<string[]> s_scripts = new("--script")
    {
        Description = "Run this script as an agent instead of those in agents/; repeatable", HelpName = "FILE", DefaultValueFactory = _ => [],
    };

    private static readonly Option<bool> s_apply = new("--apply") { Description = "When it runs already: put loom.toml as it is now in force" };
    private static readonly Option<bool> s_dryRun = new("--dry-run") { Description = "Show what would run, in which order, and start nothing" };
    private static readonly Option<bool> s_wait = new("--wait") { Description = "Be ready only when every agent is; if one cannot be, stop and end with 4" };
    private static readonly Option<TimeSpan?> s_waitTimeout = DurationOption.Create("--wait-timeout", "With --wait: stop and end with 5 after this time", TimeSpan.FromSeconds(60));

    private static readonly Option<bool> s_background = new(DetachedUp.BackgroundOption) { Description = "Marks the command that --detach launches", Hidden = true };

    public static Command Create(ProcessSignals signals)
    {
        var command = Verb.Create(
            "up",
            "Run the project: engines, models, the API and the agents",
            ["loom up", "loom up researcher", "loom up -C samples/quickstart", "loom up --force-download", "loom up -d --wait && loom status", "loom up --mode bridge-only", "loom up --set serving.bind=127.0.0.1:9000"],
            (context, parse, cancellationToken) => parse.GetValue(s_detach) && !parse.GetValue(s_dryRun)
                ? DetachedUp.RunAsync(context, DetachedUp.Arguments(parse, s_detach), FlagTwins.VariableOf(s_detach), cancellationToken)
                : RunAsync(context, parse, signals));
        command.Arguments.Add(s_names);
        foreach (var option in new Option[] { s_detach, s_noDeps, s_watch, s_noWatch, s_scripts, s_apply, s_wait, s_waitTimeout, s_dryRun, s_noLogs, s_background, RunFlags.Mode, RunFlags.Dev, StdinLeash.Flag }.Concat(BinaryFlags.All))
        {
            command.Options.Add(option);
        }

        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, ProcessSignals signals)
    {
        var wish = new AgentWish
        {
            Scripts = [.. parse.GetValue(s_scripts)!.Select(s => Path.GetFullPath(s, context.WorkingDirectory))],
            Names = parse.GetValue(s_names) is { Length: > 0 } names ? [.. names] : null,
            WithDependencies = !parse.GetValue(s_noDeps),
            Watch = parse.GetValue(s_watch) ? true : parse.GetValue(s_noWatch) ? false : null,
        };
        var session = new ProjectSession(context, parse, signals)
        {
            Follow = !parse.GetValue(s_noLogs),
            InBackground = parse.GetValue(s_background),
            Apply = parse.GetValue(s_apply),
            WaitWithin = parse.GetValue(s_wait) ? parse.GetValue(s_waitTimeout) : null,
        };
        await session.HandOverAsync().ConfigureAwait(false);
        return parse.GetValue(s_dryRun) ? session.ShowPlan(wish) : await session.UpAsync(wish).ConfigureAwait(false);
    }
}
