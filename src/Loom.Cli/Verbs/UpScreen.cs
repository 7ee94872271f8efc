using System.Globalization;
using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Processes;
using Loom.Wire;

namespace Loom.Cli.Verbs;

/// <summary>What <c>loom up</c> shows: the pools on their way, the ready line, what went wrong.</summary>
internal static class UpScreen
{
    private const int LinesOfAFailedEngine = 20;

    /// <summary>Puts the pools on the board.</summary>
    public static void Show(TaskBoard board, IEnumerable<ReplicaStatus> replicas)
    {
        foreach (var replica in replicas.Where(r => r.State != ReplicaState.Stopped || RestsOnDemand(r)))
        {
            var (mark, text) = replica.State switch
            {
                ReplicaState.Stopped => (TaskMark.Done, replica.LastError!),
                ReplicaState.Ready => (TaskMark.Done, $"{replica.EngineKind}, model {replica.Model}{(replica.Mock ? ", mock" : "")}"),
                ReplicaState.Failed => (TaskMark.Failed, replica.LastError ?? "failed"),
                ReplicaState.Provisioning => (TaskMark.Waiting, "waits for engine and model"),
                ReplicaState.Starting => (TaskMark.Running, "starting, loading the model"),
                _ => (TaskMark.Running, replica.LastError ?? "not ready"),
            };
            board.Set($"pool {replica.Id.PoolId}/{replica.Id.ReplicaName}", mark, text, replica.LoadPercent);
        }
    }

    /// <summary>Whether a replica is stopped for good reason and starts when somebody asks for its model; not one that is about to be started.</summary>
    public static bool RestsOnDemand(ReplicaStatus replica) => replica is { State: ReplicaState.Stopped, LastError: not null };

    /// <summary>Says that the project is ready, and where.</summary>
    public static void Announce(Terminal.Terminal terminal, RunState state, HomeRuntime runtime, IReadOnlyList<ReplicaStatus> replicas, TimeSpan took)
    {
        if (terminal.Json)
        {
            terminal.Out.WriteLine(ReadyJson.Of(state));
            terminal.Out.Flush();
            return;
        }

        var seconds = took.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture);
        var agents = runtime.Agents.Plan.Agents;
        var running = runtime.Agents.Agents.Count(a => a.Process?.Pid is not null);
        var what = new[]
        {
            runtime.Serving is { } api ? $"{api.Api.GetLeftPart(UriPartial.Authority)}/v1  (models: {string.Join(", ", replicas.SelectMany(r => r.Models).Distinct(StringComparer.Ordinal))})" : null,
            runtime.Systems is { Records.IsEmpty: false } systems ? $"{systems.Records.Count(r => r.State == "running")} of {systems.Records.Length} systems run" : null,
            agents.IsEmpty ? null : $"{running} of {runtime.Agents.Agents.Length} agents run",
        };
        terminal.Note($"{terminal.Paint(Tone.Good, "ready")} in {seconds} s: {string.Join("; ", what.Where(w => w is not null))}");
        if (runtime.Serving?.Metrics is { } metrics)
        {
            terminal.Note($"metrics: {metrics.GetLeftPart(UriPartial.Authority)}/metrics  (token: .loom/run/token)");
        }

        if (replicas.Any(r => r.Mock))
        {
            terminal.Note(terminal.Paint(Tone.Busy, "mock engines answer here; everything they say is marked mock"));
        }
    }

    /// <summary>What a change of an agent is worth saying; null = nothing.</summary>
    public static string? Line(Terminal.Terminal terminal, ProcessSnapshot process)
    {
        var tone = process.State switch
        {
            ProcessState.Ready or ProcessState.Completed => Tone.Good,
            ProcessState.Failed or ProcessState.Skipped or ProcessState.Blocked or ProcessState.Unhealthy => Tone.Bad,
            ProcessState.Backoff => Tone.Busy,
            ProcessState.Pending when process.Reason is not null => Tone.Busy,
            _ => (Tone?)null,
        };
        var detail = process.State == ProcessState.Ready && process.Pid is { } pid ? $"pid {pid}" : process.Reason;
        return tone is null ? null : $"{terminal.Paint(tone.Value, $"{process.Name}: {process.State.ToString().ToLowerInvariant()}")}{(detail is null ? "" : $" ({detail})")}";
    }

    /// <summary>Shows the last words of every engine, and tells why nothing could start.</summary>
    public static CliError NothingStarted(Terminal.Terminal terminal, ISupervisor supervisor, IReadOnlyList<ReplicaStatus> replicas)
    {
        foreach (var replica in replicas)
        {
            foreach (var line in supervisor.Tail($"engine-{replica.Id.PoolId}-{replica.Id.ReplicaName}", LinesOfAFailedEngine))
            {
                terminal.Err.WriteLine($"  {replica.Id.PoolId}/{replica.Id.ReplicaName} | {line}");
            }
        }

        var first = replicas.First(r => r.State == ReplicaState.Failed);
        return new CliError(ExitOf(replicas), "NO_POOL_STARTED", $"no pool could start; {first.Id.PoolId}/{first.Id.ReplicaName}: {first.LastError}", "loom doctor; loom logs");
    }

    /// <summary>The exit code of a start where nothing came up: that of the failures' kind where all agree.</summary>
    public static int ExitOf(IReadOnlyList<ReplicaStatus> replicas) =>
        replicas.Where(r => r.State == ReplicaState.Failed).Select(r => r.Fault).Distinct().ToList() switch
        {
            [ReplicaFault.Checksum] => ExitCode.Integrity,
            [ReplicaFault.Download] => ExitCode.Transient,
            _ => ExitCode.Failed,
        };
}
