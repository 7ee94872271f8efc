using Loom.Processes;

namespace Loom.Agents.Orchestration;

/// <summary>An immutable view of one replica of an agent, also of one that never got a process.</summary>
public sealed record AgentStatus
{
    /// <summary>Name of the agent.</summary>
    public required string Agent { get; init; }

    /// <summary>Name of the replica: the agent's, or <c>NAME-1</c>, <c>NAME-2</c> ... when there are several.</summary>
    public required string Name { get; init; }

    public required ProcessState State { get; init; }

    /// <summary>Why it is in this state.</summary>
    public string? Reason { get; init; }

    /// <summary>Whether it should run; false for what was stopped, or never asked for.</summary>
    public required bool Wanted { get; init; }

    /// <summary>Whether nothing more happens by itself: ready, completed, failed, skipped, blocked, or not wanted.</summary>
    public required bool Settled { get; init; }

    /// <summary>What the plan asks for.</summary>
    public required ProcessPlan Plan { get; init; }

    /// <summary>What the supervisor says of its process; null when it has none yet.</summary>
    public ProcessSnapshot? Process { get; init; }

    /// <summary>Whether it does what was wanted of it: ready, or done.</summary>
    public bool IsWell => State is ProcessState.Ready or ProcessState.Completed || !Wanted;

    internal static AgentStatus Of(AgentReplica replica)
    {
        var (state, reason) = replica.Shown;
        return new AgentStatus
        {
            Agent = replica.Agent.Name,
            Name = replica.Name,
            State = state,
            Reason = reason,
            Wanted = replica.Wanted,
            Settled = replica.Phase is ReplicaPhase.Off or ReplicaPhase.Waiting { Shown: ProcessState.Skipped }
                || replica.Told is ProcessState.Ready or ProcessState.Completed or ProcessState.Failed or ProcessState.Blocked,
            Plan = replica.Process,
            Process = replica.Seen,
        };
    }
}
