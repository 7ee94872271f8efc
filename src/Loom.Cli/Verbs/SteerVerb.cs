using System.CommandLine;
using Loom.Agents.Project;
using Loom.Cli.Status;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom start</c>, <c>stop</c>, <c>restart</c>: ask the running project. They read run state only, so they work with a broken <c>loom.toml</c>.</summary>
internal static class SteerVerb
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    public static Command Start() => Create(
        "start",
        "Start stopped, failed or finished agents and what they depend on, or dataflow systems",
        ["loom start researcher", "loom start orders --wait", "loom start --all --wait", "loom start researcher --no-deps --wait --wait-timeout 2m"],
        "Only the named ones, not what they depend on");

    public static Command Stop() => Create(
        "stop",
        "Stop agents and what depends on them, or drain dataflow systems; returns when no process of theirs is left",
        ["loom stop researcher", "loom stop --all", "loom stop researcher --no-deps"],
        "Only the named ones, not what depends on them");

    public static Command Restart() => Create(
        "restart",
        "Stop and start agents or dataflow systems; not counted as a restart, clears the counters",
        ["loom restart researcher", "loom restart researcher analyst --wait"],
        "Only the named ones, also where another asks to be restarted with them");

    private static Command Create(string op, string description, string[] examples, string noDeps)
    {
        var names = new Argument<string[]>("NAME") { Description = "Agents (all their replicas), dataflow systems or processes", Arity = ArgumentArity.ZeroOrMore };
        var all = new Option<bool>("--all") { Description = "Every agent" };
        var alone = new Option<bool>("--no-deps") { Description = noDeps };
        var wait = new Option<bool>("--wait") { Description = "Return only when they are ready; exit 4 when one fails, 5 when time is over" };
        var waitTimeout = DurationOption.Create("--wait-timeout", "Longest wait of --wait", s_patience);
        var command = Verb.Create(op, description, examples, async (context, parse, stop) =>
        {
            var started = context.Time.GetTimestamp();
            var project = RunningProject.Of(context);
            var chosen = Choose(parse.GetValue(names) ?? [], parse.GetValue(all), op, project, stop);
            if (chosen.Count == 0)
            {
                context.Terminal.Note("there are no agents here");
                WaitVerb.Show(context, op, null, TimeSpan.Zero, []);
                return ExitCode.Ok;
            }

            await AskAsync(project, op, chosen, parse.GetValue(alone), stop).ConfigureAwait(false);
            var waits = op is not "stop" && parse.GetValue(wait);
            var items = waits
                ? await new Waiting(context, project).RunAsync(chosen, WaitGoal.Ready, parse.GetValue(waitTimeout), stop).ConfigureAwait(false)
                : Look(context, project, chosen, stop);
            WaitVerb.Show(context, op, waits ? "ready" : null, context.Time.GetElapsedTime(started), items);
            return ExitCode.Ok;
        });
        names.CompletionSources.Add(KnownNames.Processes());
        command.Arguments.Add(names);
        command.Options.Add(all);
        command.Options.Add(alone);
        if (op is not "stop")
        {
            command.Options.Add(wait);
            command.Options.Add(waitTimeout);
        }

        return command;
    }

    /// <summary>The processes meant.</summary>
    private static IReadOnlyList<string> Choose(string[] names, bool all, string op, RunningProject project, CancellationToken stop)
    {
        if (all == (names.Length > 0))
        {
            throw new CliError(ExitCode.Usage, "USAGE", all ? "--all stands alone, without names" : $"{op} wants names, or --all", $"loom {op} --all; loom status shows the names");
        }

        var run = project.Look(stop);
        if (all)
        {
            return [.. run.Processes.Where(p => p.Kind is "agent").Select(p => p.Name)];
        }

        var chosen = new List<string>();
        foreach (var name in names)
        {
            var found = StatusView.Meant(run, name).Select(p => p.Name).ToList();
            found.AddRange(run.Systems.Where(s => found.Count == 0 && s.Name == name).Select(s => s.Name));
            chosen.AddRange(found.Count > 0 ? found.Except(chosen) : throw UnknownName.Error(name, run));
        }

        return chosen;
    }

    private static async Task AskAsync(RunningProject project, string op, IReadOnlyList<string> names, bool alone, CancellationToken stop)
    {
        var request = new ControlRequest(op) { Names = [.. names], NoDeps = alone };
        var reply = await new ControlClient(project.Directory.Socket).AskAsync(request, stop).ConfigureAwait(false) ?? throw project.NotRunning();
        if (!reply.Ok)
        {
            var unknown = reply.Refusal == ControlRefusal.UnknownName;
            throw new CliError(unknown ? ExitCode.NotRunning : ExitCode.Failed, unknown ? "UNKNOWN_NAME" : "REFUSED", reply.Error ?? "refused", "loom status");
        }
    }

    private static List<WaitItem> Look(VerbContext context, RunningProject project, IReadOnlyList<string> names, CancellationToken stop) =>
        WaitJudgement.Of(StatusView.Of(project.Look(stop), names, context.Time.GetUtcNow(), Uptime.Now(), out _), WaitGoal.Ready);
}
