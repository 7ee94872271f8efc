using Loom.Processes;

namespace Loom.Agents.Orchestration;

/// <summary>What a wish makes of one replica, whatever it is at. Pure.</summary>
internal static class Wishes
{
    internal const string NotAsked = "not started";
    internal const string ByRequest = "stopped by request";

    /// <param name="replica">Who is wanted up.</param>
    /// <param name="again">It was named: also when it has completed, and at once when it waits for its restart.</param>
    /// <param name="waived">Its conditions do not count.</param>
    internal static AgentReplica Start(AgentReplica replica, bool again, bool waived) => replica.Phase switch
    {
        ReplicaPhase.Off => Want(replica, waived),
        ReplicaPhase.Waiting => replica with { Waived = waived },
        ReplicaPhase.Ending ending when ending.Then != AfterStop.Remove => replica with { Phase = ending with { Wanted = true }, Waived = waived },
        ReplicaPhase.Changing changing when changing.What != AfterStop.Remove => replica with { Phase = changing with { Wanted = true }, Waived = waived },
        ReplicaPhase.Up { Op: null } => replica.Told switch
        {
            ProcessState.Completed when !again => replica,
            ProcessState.Backoff when !again => replica,
            ProcessState.Completed or ProcessState.Failed or ProcessState.Blocked or ProcessState.Backoff => Want(replica, waived),
            _ => replica,
        },
        _ => replica,
    };

    /// <summary>From now on it waits for its conditions, if only for a moment.</summary>
    internal static AgentReplica Want(AgentReplica replica, bool waived) =>
        replica with { Phase = new ReplicaPhase.Waiting(ProcessState.Pending, string.Empty), Waived = waived, Fault = null, Survivors = [] };

    /// <summary>What becomes of one that is wanted down.</summary>
    internal static AgentReplica Stop(AgentReplica replica) => replica.Phase switch
    {
        ReplicaPhase.Waiting when !replica.Known => replica with { Phase = new ReplicaPhase.Off(ByRequest) },
        ReplicaPhase.Waiting or ReplicaPhase.Up => replica with { Phase = new ReplicaPhase.Ending(AfterStop.Keep, Wanted: false, Op: null) },
        ReplicaPhase.Ending ending => replica with { Phase = ending with { Wanted = false } },
        ReplicaPhase.Changing changing => replica with { Phase = changing with { Wanted = false } },
        _ => replica,
    };
}
