using System.CommandLine;
using System.CommandLine.Parsing;
using Loom.Agents.Discovery;
using Loom.Cli.Binaries;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom run</c>: one run in the foreground, which ends with its main script, or with the last of its agents.</summary>
internal static class RunVerb
{
    private static readonly Argument<string[]> s_target = new("TARGET")
    {
        Description = "A project folder, or a script that runs alone with the terminal (default: this project); after --: arguments of the script",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private static readonly Option<TimeSpan?> s_startupWait = DurationOption.Create("--startup-wait", "Say that the start goes on after this time", TimeSpan.FromSeconds(2));

    public static Command Create(ProcessSignals signals)
    {
        var command = Verb.Create(
            "run",
            "Run the project, or one script of it, to its end; exits with the script's code",
            ["loom run", "loom run agents/main.py", "loom run report.py -- march", "loom run samples/agents"],
            (context, parse, _) => RunAsync(context, parse, signals));
        command.Arguments.Add(s_target);
        foreach (var option in new Option[] { RunFlags.Mode, RunFlags.Logs, s_startupWait, StdinLeash.Flag }.Concat(BinaryFlags.All))
        {
            command.Options.Add(option);
        }

        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, ProcessSignals signals)
    {
        var (target, arguments) = Words(parse);
        var path = target is null ? null : Path.GetFullPath(target, context.WorkingDirectory);
        if (path is not null && Directory.Exists(path))
        {
            context = context with { ProjectOption = path };
        }
        else if (path is not null && !File.Exists(path))
        {
            throw new CliError(ExitCode.Usage, "NO_SCRIPT", $"there is neither a script nor a folder {path}", "loom run, loom run DIR, or loom run SCRIPT -- ARGS");
        }

        var script = path is not null && File.Exists(path);
        var wish = new AgentWish
        {
            Kind = script ? RosterKind.Script : RosterKind.ProjectWithMain,
            Scripts = script ? [path!] : [],
            ScriptArguments = [.. arguments],
            EndsByItself = true,
        };
        var session = new ProjectSession(context, parse, signals) { Follow = !script, Quiet = script, StartupWait = parse.GetValue(s_startupWait) };
        await session.HandOverAsync().ConfigureAwait(false);
        return await session.UpAsync(wish, (plan, words) => new JoinedRun(context, plan, signals, words).RunAsync()).ConfigureAwait(false);
    }

    /// <summary>The one word before <c>--</c>, and the words after it.</summary>
    private static (string? Target, IReadOnlyList<string> Arguments) Words(ParseResult parse)
    {
        var words = parse.GetValue(s_target)!;
        var behind = parse.Tokens.SkipWhile(t => t.Type != TokenType.DoubleDash).Skip(1).Count();
        var before = words[..^behind];
        return before.Length <= 1
            ? (before.FirstOrDefault(), words[^behind..])
            : throw new CliError(ExitCode.Usage, "USAGE", $"one folder or script at a time, found {string.Join(", ", before)}", $"loom run {before[0]} -- {string.Join(' ', before.Skip(1))}");
    }
}
