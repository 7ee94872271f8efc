using System.CommandLine;
using Loom.Cli.Status;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom status</c> (<c>ps</c>): what runs, since when, and why something does not.</summary>
internal static class StatusVerb
{
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromSeconds(1);

    public static Command Create()
    {
        var names = new Argument<string[]>("NAME") { Description = "Processes, agents or pools (default: all)", Arity = ArgumentArity.ZeroOrMore };
        var watch = new Option<bool>("--watch") { Description = "Show it anew each second until Ctrl-C; CPU is then that of the last second" };
        var command = Verb.Create(
            "status",
            "Show what runs; exit 0 all well, 4 something is not, 3 nothing runs",
            ["loom status", "loom status researcher --json", "loom status --watch", "loom ps -C samples/quickstart"],
            (context, parse, stop) => parse.GetValue(watch)
                ? WatchAsync(context, parse.GetValue(names) ?? [], stop)
                : Task.FromResult(Once(context, parse.GetValue(names) ?? [], stop)));
        command.Aliases.Add("ps");
        names.CompletionSources.Add(KnownNames.Processes(pools: true));
        command.Arguments.Add(names);
        command.Options.Add(watch);
        return command;
    }

    private static int Once(VerbContext context, string[] names, CancellationToken stop)
    {
        var view = Look(context, RunningProject.Of(context), names, before: null, stop);
        Write(context.Terminal, view);
        return ExitOf(view);
    }

    private static async Task<int> WatchAsync(VerbContext context, string[] names, CancellationToken stop)
    {
        var project = RunningProject.Of(context);
        StatusView? last = null;
        while (true)
        {
            var view = Look(context, project, names, last, stop);
            if (context.Terminal is { OutIsTerminal: true, Json: false })
            {
                context.Terminal.Out.Write("\e[H\e[J"); // drawn over the picture before, so that nothing scrolls
            }
            else if (last is not null && !context.Terminal.Json)
            {
                context.Terminal.Out.WriteLine();
            }

            Write(context.Terminal, view);
            last = view;
            await Task.Delay(s_lookEvery, context.Time, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (stop.IsCancellationRequested)
            {
                return ExitOf(view);
            }
        }
    }

    private static StatusView Look(VerbContext context, RunningProject project, string[] names, StatusView? before, CancellationToken stop)
    {
        var view = StatusView.Of(project.Look(stop), names, context.Time.GetUtcNow(), Uptime.Now(), out var unknown);
        return unknown is null ? view with { Before = before } : throw UnknownName.Error(unknown, view.Run);
    }

    private static void Write(Terminal.Terminal terminal, StatusView view)
    {
        if (terminal.Json)
        {
            terminal.Out.WriteLine(StatusDocument.Write(view));
        }
        else
        {
            StatusTable.Write(terminal, view);
        }
    }

    private static int ExitOf(StatusView view) => view.IsWell ? ExitCode.Ok : ExitCode.ComponentFailed;
}
