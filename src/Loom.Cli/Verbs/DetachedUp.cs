using System.Collections.Immutable;
using System.CommandLine;
using System.CommandLine.Parsing;
using Loom.Agents.Project;
using Loom.Cli.Terminal;
using Loom.Processes;
using Loom.Processes.Spawning;

namespace Loom.Cli.Verbs;

/// <summary><c>loom up --detach</c>: launches the same command in a session of its own and waits until it is ready.</summary>
internal static class DetachedUp
{
    /// <summary>Hidden flag that marks the launched command.</summary>
    public const string BackgroundOption = "--in-background";

    private const int LinesShown = 20;
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    /// <summary>The command line to launch: this one without its wish to detach.</summary>
    public static ImmutableArray<string> Arguments(ParseResult parse, Option detach)
    {
        var own = new HashSet<Token>(parse.GetResult(detach)?.Tokens ?? [], ReferenceEqualityComparer.Instance);
        var names = detach.Aliases.Append(detach.Name);
        return [.. parse.Tokens.Where(t => !own.Contains(t) && !names.Contains(t.Value)).Select(t => t.Value), BackgroundOption];
    }

    /// <summary>Does it.</summary>
    /// <param name="context">Terminal, project and clock.</param>
    /// <param name="arguments">From <see cref="Arguments"/>.</param>
    /// <param name="twin">The flag's variable, which the launched command must not see: it would detach again.</param>
    /// <param name="stop">Ends the waiting; the launched command goes on.</param>
    public static async Task<int> RunAsync(VerbContext context, ImmutableArray<string> arguments, string twin, CancellationToken stop)
    {
        var folder = context.ProjectFolder();
        // A file of this attempt alone: another one under way keeps its own.
        var logs = Directory.CreateDirectory(Path.Combine(folder, ".loom", "logs")).FullName;
        var output = Path.Combine(logs, $"up.{Environment.ProcessId}.out");
        try
        {
            using var program = Launch(context, [context.Executable, .. arguments], twin, output);
            return await WatchAsync(context, folder, program, output, stop).ConfigureAwait(false);
        }
        finally
        {
            Keep(output);
        }
    }

    private static async Task<int> WatchAsync(VerbContext context, string folder, DetachedProgram program, string output, CancellationToken stop)
    {
        using var board = new TaskBoard(context.Terminal, context.Time);
        while (true)
        {
            board.Set("loom", TaskMark.Running, $"starting in the background (pid {program.Pid})");
            if (program.Exit(context.Time) is { } end)
            {
                board.Dispose();
                return await EndedAsync(context, folder, output, end, stop).ConfigureAwait(false);
            }

            if (await ProjectRun.FindLiveAsync(folder, context.Time, TimeSpan.Zero, stop).ConfigureAwait(false) is { Ready: true } state && state.Supervisor.Pid == program.Pid)
            {
                board.Set("loom", TaskMark.Done, $"running in the background (pid {program.Pid})");
                board.Dispose();
                Show(context, folder, state, "ready");
                return ExitCode.Ok;
            }

            await Task.Delay(s_look, context.Time, stop).ConfigureAwait(false);
        }
    }

    private static DetachedProgram Launch(VerbContext context, ImmutableArray<string> command, string twin, string output)
    {
        try
        {
            var environment = context.Environment.Where(v => v.Key != twin).ToImmutableDictionary(v => v.Key, v => v.Value, StringComparer.Ordinal);
            return DetachedProgram.Launch(command, context.WorkingDirectory, environment, output);
        }
        catch (SpawnException e)
        {
            throw new CliError(ExitCode.Failed, "CANNOT_START", e.Message);
        }
    }

    /// <summary>The launched command has ended before it was ready: it failed, or found another one that had been quicker.</summary>
    private static async Task<int> EndedAsync(VerbContext context, string folder, string output, ExitInfo end, CancellationToken stop)
    {
        if (end.Code == ExitCode.Ok && await ProjectRun.FindReadyAsync(folder, context.Time, stop).ConfigureAwait(false) is { } other)
        {
            // It has said what it found and started there.
            if (context.Terminal.Json)
            {
                context.Terminal.Out.WriteLine(ReadyJson.Of(other));
            }
            else
            {
                context.Terminal.Note(File.ReadAllText(output).TrimEnd());
            }

            File.Delete(output);
            return ExitCode.Ok;
        }

        foreach (var line in File.ReadLines(output).TakeLast(LinesShown))
        {
            context.Terminal.Err.WriteLine(line);
        }

        return end.Code switch
        {
            // A clean end without ever being ready: somebody stopped it.
            ExitCode.Ok => throw new CliError(ExitCode.Failed, "STOPPED", "the project was stopped before it was ready", "loom up -d"),
            { } code => code,
            null => 128 + (end.Signal ?? 0),
        };
    }

    /// <summary>Gives the output of the latest attempt its lasting name; the program writes on to it.</summary>
    private static void Keep(string output)
    {
        if (File.Exists(output))
        {
            File.Move(output, Path.Combine(Path.GetDirectoryName(output)!, "up.out"), overwrite: true);
        }
    }

    private static void Show(VerbContext context, string folder, RunState state, string what)
    {
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(ReadyJson.Of(state));
            return;
        }

        context.Terminal.Note(state.Addresses.TryGetValue("api", out var api) ? $"{what}: {api}/v1" : $"{what} (pid {state.Supervisor.Pid})");
        context.Terminal.Note($"logs: loom logs -f -C {folder}; stop: loom down -C {folder}");
    }
}
