using System.Collections.Immutable;
using System.Threading.Channels;
using Loom.Harness.Architecture;
using Loom.Processes;
using Loom.Processes.Piping;

namespace Loom.Harness.Commands;

/// <summary>The operating system's side of a command: its plan with the supervisor, and the pipes of each incarnation.</summary>
internal sealed class CommandChild
{
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_lastWords = TimeSpan.FromSeconds(2);

    private readonly Channel<ProcessPipes> _pipes = Channel.CreateUnbounded<ProcessPipes>();
    private readonly ISupervisor _supervisor;
    private readonly TimeProvider _time;
    private readonly ProcessPlan _process;
    private bool _added;

    public CommandChild(ComponentPlan plan, CommandSurroundings around, int replica)
    {
        (_supervisor, _time) = (around.Supervisor, around.Time);
        var command = plan.Uses.Command!;
        var environment = around.Environment.ToImmutableDictionary(StringComparer.Ordinal);
        var suffix = command.Replicas > 1 ? $"-{replica}" : "";
        _process = new ProcessPlan
        {
            Name = $"{around.System.Name}-{plan.Name}{suffix}",
            Kind = ProcessKind.Job,
            Command = [.. command.Command],
            WorkingDirectory = command.Cwd is { } cwd ? Path.GetFullPath(cwd, around.System.Directory) : around.System.Directory,
            Environment = environment.SetItems(around.System.Environment).SetItems(command.Env),
            Restart = RestartPolicy.Never,
            Grace = s_grace,
            Replica = replica,
            LogPath = Path.Combine(around.StateFolder, "log", $"{plan.Name}{suffix}.log"),
            Log = new LogOptions { Secrets = around.Secrets.ToImmutableDictionary(StringComparer.Ordinal) },
            Pipes = pipes => _pipes.Writer.TryWrite(pipes),
        };
    }

    /// <summary>Its name with the supervisor.</summary>
    public string Name => _process.Name;

    /// <summary>How it ended last; null = it did not.</summary>
    public ExitInfo? LastExit => Snapshot()?.LastExit;

    /// <summary>Starts an incarnation; an earlier one, and all it left behind, is ended first.</summary>
    /// <exception cref="IOException">It cannot be started, and why.</exception>
    public async Task<ProcessPipes> StartAsync(CancellationToken ct)
    {
        if (!_added)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_process.LogPath)!);
            await _supervisor.AddAsync(_process, start: true, CancellationToken.None).ConfigureAwait(false);
            _added = true;
        }
        else
        {
            await StopAsync().ConfigureAwait(false);
            await _supervisor.StartAsync(Name, CancellationToken.None).ConfigureAwait(false);
        }

        // The pipes are handed over before the start is reported.
        return _pipes.Reader.TryRead(out var pipes)
            ? pipes
            : throw new IOException(Snapshot()?.Reason ?? "it could not be started");
    }

    /// <summary>Waits until it has ended by itself.</summary>
    public async Task EndedAsync(CancellationToken ct) => await _supervisor.WaitAsync(Name, ct).ConfigureAwait(false);

    /// <summary>How it ended, for the reason of a crash: <c>, exit code 3</c>; ends it where it still runs.</summary>
    public async Task<string> HowItEndedAsync()
    {
        // Its pipe ends a moment before its exit is known; one that only closed stdout is ended here.
        using var limit = new CancellationTokenSource(s_lastWords, _time);
        try
        {
            await EndedAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            await StopAsync().ConfigureAwait(false);
        }

        return LastExit switch
        {
            { Code: { } code } => $" (exit code {code})",
            { Signal: { } signal } => $" (signal {signal})",
            _ => "",
        };
    }

    /// <summary>The last lines it wrote to stderr, for an error at its start.</summary>
    public async Task<string> LastWordsAsync()
    {
        var how = await HowItEndedAsync().ConfigureAwait(false);
        var lines = _supervisor.Tail(Name, 5);
        return lines.IsEmpty ? how : $"{how}; its last words: {string.Join(" / ", lines)}";
    }

    /// <summary>Ends it and forgets it.</summary>
    public async Task RemoveAsync()
    {
        if (!_added)
        {
            return;
        }

        _added = false;
        await _supervisor.RemoveAsync(Name, CancellationToken.None).ConfigureAwait(false);
        while (_pipes.Reader.TryRead(out var left))
        {
            left.Dispose();
        }
    }

    private Task StopAsync() => _supervisor.StopAsync(Name, CancellationToken.None);

    private ProcessSnapshot? Snapshot() => _supervisor.Processes.FirstOrDefault(p => p.Name == Name);
}
