using System.CommandLine;
using System.CommandLine.Help;
using System.Runtime.InteropServices;
using Loom.Cli.Binaries;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Harness;
using Loom.Cli.Nodes;
using Loom.Cli.Pools;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;

namespace Loom.Cli;

/// <summary>The root of the command line, and the only place where signals of the process are handled.</summary>
internal static class CommandLine
{
    public static async Task<int> RunAsync(string[] args)
    {
        using var signals = new ProcessSignals();
        var root = Short(args) is { } verb ? Root(verb) : CreateRoot(signals);
        ParseResult parse;
        try
        {
            parse = root.Parse(FlagTwins.Apply(root, args, Environment.GetEnvironmentVariable));
        }
        catch (CliError error)
        {
            return Tell(error, root.Parse(args));
        }

        if (parse.Errors.Count > 0 && parse.Tokens.Count == 0)
        {
            // Nothing was asked: show what could be.
            parse = root.Parse("--help");
        }
        else if (parse.Errors.Count > 0 && parse.Action is not HelpAction)
        {
            return Tell(new CliError(ExitCode.Usage, "USAGE", string.Join(" ", parse.Errors.Select(e => e.Message)), $"{string.Join(' ', CommandPath(parse))} --help"), parse);
        }

        if (StrayFlag(parse) is { } stray)
        {
            return Tell(new CliError(ExitCode.Usage, "USAGE", $"there is no option {Loom.Core.Settings.Redaction.Plain(stray)} here.", $"{string.Join(' ', CommandPath(parse))} --help"), parse);
        }

        signals.VerbOwnsStop = parse.CommandResult.Command.Name is "up" or "run" or "queen-rbee" or "pool-managerd";

        // System.CommandLine ends the process two seconds after Ctrl-C; an ordered stop may take longer.
        var exit = await parse.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = true }, signals.Stop).ConfigureAwait(false);

        // A verb only knows that it was cancelled, not by which signal.
        return exit == ExitCode.Interrupted && signals.First is { } signal and not PosixSignal.SIGINT ? ExitCode.Terminated : exit;
    }

    // The command line was not understood, so whether JSON is wanted is told by its words alone.
    private static int Tell(CliError error, ParseResult parse)
    {
        var json = parse.Tokens.Any(t => t.Value is "--json");
        error.WriteTo(new Terminal.Terminal { Out = Console.Out, Err = Console.Error, In = TextReader.Null, Json = json });
        return error.Exit;
    }

    internal static RootCommand CreateRoot(ProcessSignals signals) => Root(
        InitVerb.Create(),
        NewVerb.Create(),
        UpVerb.Create(signals),
        RunVerb.Create(signals),
        DownVerb.Create(),
        StatusVerb.Create(),
        LogsVerb.Create(),
        AttachVerb.Create(),
        SteerVerb.Start(),
        SteerVerb.Stop(),
        SteerVerb.Restart(),
        WaitVerb.Create(),
        ChatVerb.Create(),
        QueenRbeeVerb.Create(signals),
        PoolManagerdVerb.Create(signals),
        DoctorVerb.Create(),
        ModelVerb.Create(),
        PoolsVerb.Create(),
        NodesVerb.Create(),
        EngineProvisionerVerb.Create(),
        BinariesVerb.Create(),
        ConfigCommand.Create(LoomRegistry.Instance),
        SystemdVerb.Create(),
        HarnessVerb.Create(signals),
        VersionVerb.Create(),
        CompletionVerb.Create(),
        DevVerb.Create(crash: static () => Environment.FailFast("mock fault: crash")));

    // Verbs that are asked often and read no configuration: building all the others and their settings would take half of their time.
    private static Command? Short(string[] args) => FirstWord(args) switch
    {
        "status" or "ps" => StatusVerb.Create(),
        "start" => SteerVerb.Start(),
        "stop" => SteerVerb.Stop(),
        "restart" => SteerVerb.Restart(),
        "wait" => WaitVerb.Create(),
        "attach" => AttachVerb.Create(),
        "down" => DownVerb.Create(),
        "version" => VersionVerb.Create(),
        _ => null,
    };

    // The verb; when completion asks, that of the line it asks about, once it stands there whole.
    private static string? FirstWord(string[] args) => args switch
    {
        [['[', 's', 'u', 'g', ..], var line] => line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var verb, ..] words && (words.Length > 2 || line.EndsWith(' ')) ? verb : null,
        [var first, ..] => first,
        _ => null,
    };

    private static RootCommand Root(params ReadOnlySpan<Command> verbs)
    {
        var root = new RootCommand("Loom runs AI workloads on machines you own.");
        foreach (var verb in verbs)
        {
            root.Subcommands.Add(verb);
        }

        foreach (var option in GlobalOptions.All)
        {
            root.Options.Add(option);
        }

        Examples.Set(root, ["loom init && loom up", "loom chat", "loom status"]);
        Examples.ShowInHelp(root);
        return root;
    }

    // The parser takes an option it does not know for one more name, where a verb takes any number of them.
    private static string? StrayFlag(ParseResult parse)
    {
        var end = parse.Tokens.ToList().FindIndex(t => t.Type == System.CommandLine.Parsing.TokenType.DoubleDash);
        var ahead = new HashSet<System.CommandLine.Parsing.Token>(end < 0 ? parse.Tokens : parse.Tokens.Take(end), ReferenceEqualityComparer.Instance);
        return parse.CommandResult.Children.OfType<System.CommandLine.Parsing.ArgumentResult>()
            .SelectMany(a => a.Tokens)
            .FirstOrDefault(t => t.Value is ['-', _, ..] && ahead.Contains(t))?.Value;
    }

    private static IEnumerable<string> CommandPath(ParseResult parse)
    {
        var names = new Stack<string>();
        for (System.CommandLine.Parsing.SymbolResult? result = parse.CommandResult; result is System.CommandLine.Parsing.CommandResult command; result = result.Parent)
        {
            names.Push(command.Command is RootCommand ? "loom" : command.Command.Name);
        }

        return names;
    }
}
