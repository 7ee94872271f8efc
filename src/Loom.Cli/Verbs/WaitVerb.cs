using System.CommandLine;
using Loom.Cli.Status;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom wait</c>: returns when named processes are ready, or have ended.</summary>
internal static class WaitVerb
{
    public static Command Create()
    {
        var names = new Argument<string[]>("NAME") { Description = "Processes, agents (all their replicas), dataflow systems or pools", Arity = ArgumentArity.OneOrMore };
        var goal = new Option<string>("--for") { Description = "ready (default) or ended", HelpName = "WHAT", DefaultValueFactory = _ => "ready" };
        goal.AcceptOnlyFromAmong("ready", "ended");
        var timeout = DurationOption.Create("--timeout", "Longest wait (default: for ever)");
        var command = Verb.Create(
            "wait",
            "Wait for processes; exit 0 they are there, 4 one has failed, 5 time is over, 3 unknown or not running",
            ["loom wait researcher", "loom wait job --for ended --timeout 10m", "loom up -d && loom wait researcher analyst --timeout 60s"],
            async (context, parse, stop) =>
            {
                var started = context.Time.GetTimestamp();
                var wanted = parse.GetValue(goal)!;
                var items = await new Waiting(context, RunningProject.Of(context)).RunAsync(
                    parse.GetValue(names)!, wanted == "ready" ? WaitGoal.Ready : WaitGoal.Ended, parse.GetValue(timeout), stop).ConfigureAwait(false);
                Show(context, "wait", wanted, context.Time.GetElapsedTime(started), items);
                return ExitCode.Ok;
            });
        names.CompletionSources.Add(KnownNames.Processes(pools: true));
        command.Arguments.Add(names);
        command.Options.Add(goal);
        command.Options.Add(timeout);
        return command;
    }

    /// <summary>Tells how things are now: a line each on stderr, or the document on stdout.</summary>
    internal static void Show(VerbContext context, string did, string? goal, TimeSpan took, IReadOnlyList<WaitItem> items)
    {
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(WaitDocument.Write(did, goal, took, items));
            return;
        }

        foreach (var item in items)
        {
            context.Terminal.Note($"{item.Name}: {item.State}");
        }
    }
}
