using System.Collections.Immutable;
using Loom.Agents.Plans;
using Loom.Processes;

namespace Loom.Agents.Orchestration;

/// <summary>What becomes of a replica once it is down.</summary>
internal enum AfterStop
{
    /// <summary>It stays as it is, known and down; or comes up again if that is wanted.</summary>
    Keep,

    /// <summary>Its new plan takes the place of the old one.</summary>
    Replace,

    /// <summary>It is forgotten.</summary>
    Remove,
}

/// <summary>Where one replica stands for the orchestrator: a closed set. How its process fares meanwhile is the supervisor's to say.</summary>
internal abstract record ReplicaPhase
{
    private ReplicaPhase()
    {
    }

    /// <summary>Not wanted.</summary>
    internal sealed record Off(string Reason) : ReplicaPhase;

    /// <summary>Wanted and held back: pending while its conditions may still come true, skipped while they cannot.</summary>
    internal sealed record Waiting(ProcessState Shown, string Reason) : ReplicaPhase;

    /// <summary>In the supervisor's hands. <paramref name="Op"/> is set while a start, restart or reload that was asked for is not answered.</summary>
    internal sealed record Up(int? Op) : ReplicaPhase;

    /// <summary>To be stopped; <paramref name="Op"/> is set once that was asked for, which waits for what depends on it to be gone.</summary>
    internal sealed record Ending(AfterStop Then, bool Wanted, int? Op) : ReplicaPhase;

    /// <summary>Down; the supervisor is just forgetting it, or exchanging its plan.</summary>
    internal sealed record Changing(AfterStop What, bool Wanted, int Op) : ReplicaPhase;
}

/// <summary>All the orchestrator knows about one replica. Immutable.</summary>
internal sealed record AgentReplica
{
    internal required AgentPlan Agent { get; init; }

    internal required ProcessPlan Process { get; init; }

    internal required ReplicaPhase Phase { get; init; }

    internal string Name => Process.Name;

    /// <summary>Whether the supervisor knows it; it is told at the first wish to start it.</summary>
    internal bool Known { get; init; }

    /// <summary>What the supervisor said last; null until it said something.</summary>
    internal ProcessSnapshot? Seen { get; init; }

    /// <summary>How often it had been spawned under the plans before this one.</summary>
    internal int SpawnedBefore { get; init; }

    /// <summary>How often it was spawned, under whatever plan.</summary>
    internal int Spawned => SpawnedBefore + (Seen?.Spawns ?? 0);

    /// <summary>Why the supervisor refused it; null = it did not.</summary>
    internal string? Fault { get; init; }

    /// <summary>What outlived its last stop.</summary>
    internal ImmutableArray<string> Survivors { get; init; } = [];

    /// <summary>The exit known when the present round (from one asked start to the next) began: it says nothing about this round.</summary>
    internal ExitInfo? ExitBefore { get; init; }

    /// <summary>Whether it was ready in this round.</summary>
    internal bool WasReady { get; init; }

    /// <summary>Its conditions were waived (<c>--no-deps</c>).</summary>
    internal bool Waived { get; init; }

    /// <summary>How often each thing it depends on had been spawned when it was started: more since then means restarted.</summary>
    internal ImmutableDictionary<string, int> Basis { get; init; } = ImmutableDictionary<string, int>.Empty;

    /// <summary>It restarts once what it depends on has restarted, this time only.</summary>
    internal bool FollowsNext { get; init; }

    /// <summary>The plan that is to replace this one.</summary>
    internal (AgentPlan Agent, ProcessPlan Process)? Next { get; init; }

    /// <summary>Its name went out of the plan while the supervisor was exchanging it.</summary>
    internal bool Unplanned { get; init; }

    /// <summary>The exit of this round; null when there was none.</summary>
    internal ExitInfo? Exit => Seen?.LastExit is { } exit && exit != ExitBefore ? exit : null;

    /// <summary>State of its process, once no request for it is unanswered: before, what was heard may be of the time before the request.</summary>
    internal ProcessState? Told => Phase is ReplicaPhase.Up { Op: null } ? Fault is null ? Seen?.State : ProcessState.Failed : null;

    /// <summary>Whether it should run: it does, or waits for it, or comes back after its stop.</summary>
    internal bool Wanted => Phase is ReplicaPhase.Waiting or ReplicaPhase.Up or ReplicaPhase.Ending { Wanted: true } or ReplicaPhase.Changing { Wanted: true };

    /// <summary>Whether something of it may be alive.</summary>
    internal bool Alive => Phase switch
    {
        ReplicaPhase.Up { Op: not null } => true,
        ReplicaPhase.Up or ReplicaPhase.Ending => Seen?.State is ProcessState.Starting or ProcessState.Running or ProcessState.Ready or ProcessState.Unhealthy
            or ProcessState.Stopping or ProcessState.Backoff,
        _ => false,
    };

    /// <summary>What a person is shown: the state and why.</summary>
    internal (ProcessState State, string? Reason) Shown => (Phase, Fault) switch
    {
        (ReplicaPhase.Up { Op: null } or ReplicaPhase.Off, { } fault) => (ProcessState.Failed, fault),
        (ReplicaPhase.Up { Op: not null }, _) when Seen is not { State: ProcessState.Starting or ProcessState.Running or ProcessState.Stopping } =>
            (ProcessState.Starting, null),
        (ReplicaPhase.Up, _) => (Seen?.State ?? ProcessState.Starting, Seen?.Reason),
        (ReplicaPhase.Waiting waiting, _) => (waiting.Shown, waiting.Reason),
        (ReplicaPhase.Off, _) when Seen is { State: ProcessState.Completed or ProcessState.Failed } => (Seen.State, Seen.Reason),
        (ReplicaPhase.Off off, _) => (ProcessState.Stopped, off.Reason),
        (ReplicaPhase.Ending { Op: null }, _) when Alive => (Seen!.State, "stops after what depends on it"),
        _ => (ProcessState.Stopping, Seen?.State == ProcessState.Stopping ? Seen.Reason : "stopping by request"),
    };
}

/// <summary>A serving pool as far as agents wait for it.</summary>
/// <param name="Started">A replica of it runs.</param>
/// <param name="Ready">A replica of it serves.</param>
/// <param name="Failed">It has given up; it may come back.</param>
/// <param name="Starts">How often it went from not started to started.</param>
internal sealed record PoolView(bool Started, bool Ready, bool Failed, int Starts)
{
    internal static PoolView Unseen { get; } = new(false, false, false, 0);
}

/// <summary>All the orchestrator knows. Immutable.</summary>
internal sealed record HostState
{
    /// <summary>The agents of the present plan, also those without replicas.</summary>
    internal required ImmutableDictionary<string, AgentPlan> Agents { get; init; }

    /// <summary>Every replica, in the order of the plan; those on their way out last.</summary>
    internal required ImmutableArray<AgentReplica> Replicas { get; init; }

    internal ImmutableDictionary<string, PoolView> Pools { get; init; } = ImmutableDictionary<string, PoolView>.Empty;

    /// <summary>Everything stops and nothing is started any more.</summary>
    internal bool Closing { get; init; }

    /// <summary>Patience has ended: no stop waits for another.</summary>
    internal bool Hurried { get; init; }

    /// <summary>Number of the last request to the supervisor.</summary>
    internal int LastOp { get; init; }

    internal AgentReplica? Find(string name)
    {
        foreach (var replica in Replicas)
        {
            if (replica.Name == name)
            {
                return replica;
            }
        }

        return null;
    }
}
