using System.Collections.Immutable;
using Loom.Processes.Spawning;
using Loom.Processes.Table;

namespace Loom.Processes;

/// <summary>A program that shall outlive us: its own session, no terminal, no pipe to us. Nobody supervises it; whoever launches it may watch it for a while.</summary>
public sealed class DetachedProgram : IDisposable
{
    private readonly SpawnedChild _child;
    private ExitInfo? _exit;

    private DetachedProgram(SpawnedChild child) => _child = child;

    public int Pid => _child.Pid;

    /// <summary>Launches a program.</summary>
    /// <param name="command">Argument vector.</param>
    /// <param name="workingDirectory">Absolute folder.</param>
    /// <param name="environment">Its whole environment.</param>
    /// <param name="output">File that takes its stdout and stderr, appended; created for its owner alone. Its folder must exist.</param>
    /// <exception cref="SpawnException">It cannot be started.</exception>
    public static DetachedProgram Launch(
        ImmutableArray<string> command, string workingDirectory, IReadOnlyDictionary<string, string> environment, string output) =>
        new(Spawner.Spawn(new SpawnRequest
        {
            Command = command,
            WorkingDirectory = workingDirectory,

            // Without the marks of a run this very command may be part of: what outlives us must not be swept with it.
            Environment = environment
                .Where(v => v.Key is not (ChildEnvironment.RunVariable or ChildEnvironment.ProcessVariable))
                .ToImmutableDictionary(v => v.Key, v => v.Value),
            PipeOutput = false,
            OutputFile = output,
        }));

    /// <summary>How it ended; null while it runs.</summary>
    public ExitInfo? Exit(TimeProvider time)
    {
        if (_exit is null && Children.PeekExit((int)_child.Exit.DangerousGetHandle()) is { } end)
        {
            _exit = new ExitInfo(end.Code, end.Signal, time.GetUtcNow());
            Children.Reap(_child.Pid);
        }

        return _exit;
    }

    /// <summary>Stops watching; the program goes on.</summary>
    public void Dispose() => _child.Dispose();
}
