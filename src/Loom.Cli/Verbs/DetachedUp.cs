using System.Collections.Immutable;
using System.CommandLine;
using Loom.Agents.Project;
using Loom.Cli.Terminal;
using Loom.Processes;
using Loom.Processes.Spawning;

namespace Loom.Cli.Verbs;

/// <summary><c>loom up --detach</c>: launches the same command in a session of its own and waits until it is ready.</summary>
internal static class DetachedUp
{
    /// <summary>Hidden option that marks the launched command.</summary>
    public const string OutputOption = "--detached-output";

    private const int LinesShown = 20;
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    public static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var folder = context.ProjectFolder();
        var logs = Directory.CreateDirectory(Path.Combine(folder, ".loom", "logs")).FullName;
        var output = Path.Combine(logs, "up.out");
        File.Delete(output);
        var arguments = parse.Tokens.Select(t => t.Value).Where(a => a is not "--detach" and not "-d").ToImmutableArray();
        using var program = Launch(context, [context.Executable, .. arguments, OutputOption, output]);
        using var board = new TaskBoard(context.Terminal, context.Time);
        while (true)
        {
            board.Set("loom", TaskMark.Running, $"starting in the background (pid {program.Pid})");
            if (program.Exit(context.Time) is { } end)
            {
                board.Dispose();
                return Ended(context, output, end);
            }

            if (RunState.Read(RunDirectory.Of(folder).State) is { Ready: true } state && state.Supervisor.Pid == program.Pid)
            {
                board.Set("loom", TaskMark.Done, $"running in the background (pid {program.Pid})");
                board.Dispose();
                Show(context, folder, state);
                return ExitCode.Ok;
            }

            await Task.Delay(s_look, context.Time, stop).ConfigureAwait(false);
        }
    }

    private static DetachedProgram Launch(VerbContext context, ImmutableArray<string> command)
    {
        try
        {
            return DetachedProgram.Launch(command, context.WorkingDirectory, context.Environment);
        }
        catch (SpawnException e)
        {
            throw new CliError(ExitCode.Failed, "CANNOT_START", e.Message);
        }
    }

    private static int Ended(VerbContext context, string output, ExitInfo end)
    {
        var lines = File.Exists(output) ? File.ReadAllLines(output) : [];
        foreach (var line in lines.TakeLast(LinesShown))
        {
            context.Terminal.Err.WriteLine(line);
        }

        return end.Code ?? (128 + end.Signal ?? ExitCode.Failed);
    }

    private static void Show(VerbContext context, string folder, RunState state)
    {
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(ReadyJson.Of(state, []));
            return;
        }

        context.Terminal.Note($"ready: {state.Addresses.GetValueOrDefault("api")}/v1");
        context.Terminal.Note($"logs: loom logs -f -C {folder}; stop: loom down -C {folder}");
    }
}
