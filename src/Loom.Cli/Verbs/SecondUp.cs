using System.Globalization;
using Loom.Agents.Project;
using Loom.Cli.Logs;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary>One runtime per project: a second <c>up</c> says where the first one is, and on a terminal follows its output.</summary>
internal static class SecondUp
{
    public static async Task<int> RunAsync(VerbContext context, string folder, CancellationToken stop)
    {
        var state = await FindAsync(context, folder, stop).ConfigureAwait(false);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(ReadyJson.Of(state));
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
            printer.Print(new LogLine(line.Name, line.At, line.Text));
        }

        return ExitCode.Ok;
    }

    /// <summary>The runtime that holds the lock, once its start is over: before, it has no address to give.</summary>
    private static async Task<RunState> FindAsync(VerbContext context, string folder, CancellationToken stop)
    {
        var state = await ProjectRun.FindLiveAsync(folder, context.Time, Down.AnswerWithin, stop).ConfigureAwait(false)
            ?? throw new CliError(ExitCode.Conflict, "LOCKED", $"the lock of {folder} is held, but its holder does not show itself", "loom down");
        if (state.Ready)
        {
            return state;
        }

        context.Terminal.Note($"already starting (pid {state.Supervisor.Pid}); waiting until it is ready");
        return await ProjectRun.FindReadyAsync(folder, context.Time, stop).ConfigureAwait(false)
            ?? throw new CliError(ExitCode.Failed, "NOT_STARTED", $"the start that was under way in {folder} (pid {state.Supervisor.Pid}) has ended", "loom up");
    }
}
