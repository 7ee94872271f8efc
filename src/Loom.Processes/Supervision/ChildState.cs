using System.Collections.Immutable;
using Loom.Processes.Logs;

namespace Loom.Processes.Supervision;

/// <summary>What is to follow once an incarnation has been ended.</summary>
internal abstract record Goal
{
    private Goal()
    {
    }

    /// <summary>Stay down.</summary>
    internal sealed record Down : Goal;

    /// <summary>Up again at once, asked for; <paramref name="Trial"/>: after a change of what it runs.</summary>
    internal sealed record Up(bool Trial = false) : Goal;

    /// <summary>Nobody asked for this end: the restart policy decides.</summary>
    internal sealed record Policy(EndCause Cause, string Reason) : Goal;
}

/// <summary>Where one supervised process stands: a closed set, so that an impossible mixture cannot be written.</summary>
internal abstract record Phase
{
    private Phase()
    {
    }

    /// <summary>Nothing runs and nothing is awaited.</summary>
    internal sealed record Idle(ProcessState Shown) : Phase;

    /// <summary>Port check, then spawn. <paramref name="After"/> is set when a request came in between.</summary>
    internal sealed record Launching(Goal? After = null) : Phase;

    /// <summary>It runs.</summary>
    internal sealed record Alive(ProcessIdentity Identity, DateTimeOffset SpawnedAt) : Phase
    {
        internal DateTimeOffset? ReadyAt { get; init; }

        /// <summary>When the next probe is due; null while one is under way or none is wanted.</summary>
        internal DateTimeOffset? ProbeAt { get; init; }

        internal bool Probing { get; init; }

        /// <summary>Failed liveness probes in a row.</summary>
        internal int Failures { get; init; }

        /// <summary>What the last failed probe found.</summary>
        internal string? LastFailure { get; init; }
    }

    /// <summary>It is being ended: signal, grace, KILL, and everything it left behind gone before the leader is reaped.</summary>
    internal sealed record Ending(ProcessIdentity Identity, DateTimeOffset SpawnedAt, Goal Goal) : Phase
    {
        /// <summary>When it became ready; null = it never was.</summary>
        internal DateTimeOffset? ReadyAt { get; init; }

        /// <summary>When KILL follows; null = no signal has been sent, the leader ended by itself.</summary>
        internal DateTimeOffset? KillAt { get; init; }

        /// <summary>The stop command is under way; the stop signal follows it.</summary>
        internal bool Asking { get; init; }

        internal bool Killed { get; init; }

        internal bool LeaderExited { get; init; }

        /// <summary>When to count again; null = an event will tell.</summary>
        internal DateTimeOffset? CountAt { get; init; }

        /// <summary>When to name survivors instead of trying on.</summary>
        internal DateTimeOffset? GiveUpAt { get; init; }
    }

    /// <summary>Waits for its next start.</summary>
    internal sealed record Waiting(DateTimeOffset Until) : Phase;
}

/// <summary>All the supervisor knows about one process. Immutable.</summary>
internal sealed record ChildState
{
    internal required ProcessPlan Plan { get; init; }

    internal string? PlanSha256 { get; init; }

    internal required Phase Phase { get; init; }

    internal required DateTimeOffset Since { get; init; }

    /// <summary>Number of the latest attempt to start; events of earlier ones are ignored.</summary>
    internal int Incarnation { get; init; }

    /// <summary>Latest incarnation that is completely gone.</summary>
    internal int Ended { get; init; }

    /// <summary>Folder of its cgroup.</summary>
    internal string? Cgroup { get; init; }

    internal int Spawns { get; init; }

    internal int Restarts { get; init; }

    /// <summary>The present incarnation follows a reload and has not been ready: its end blocks instead of being judged by the restart policy.</summary>
    internal bool OnTrial { get; init; }

    internal RestartHistory History { get; init; } = RestartHistory.Empty;

    internal ExitInfo? LastExit { get; init; }

    internal string? Reason { get; init; }

    /// <summary>What whoever steers it has to say about it.</summary>
    internal string? Note { get; init; }

    /// <summary>Processes of the last incarnation that could not be killed then; they may have ended since.</summary>
    internal ImmutableArray<Survivor> Survivors { get; init; } = [];

    internal TimeSpan Grace => Plan.Grace ?? DefaultGrace(Plan.Kind);

    internal ProcessState Shown => Phase switch
    {
        Phase.Idle idle => idle.Shown,
        Phase.Launching => ProcessState.Starting,
        Phase.Alive { ReadyAt: null } => ProcessState.Running,
        Phase.Alive { Failures: > 0 } => ProcessState.Unhealthy,
        Phase.Alive => ProcessState.Ready,
        Phase.Ending => ProcessState.Stopping,
        Phase.Waiting => ProcessState.Backoff,
        _ => throw new InvalidOperationException("a phase without a name"),
    };

    /// <summary>The live child, also while it is being ended.</summary>
    internal ProcessIdentity? Identity => Phase switch
    {
        Phase.Alive alive => alive.Identity,
        Phase.Ending ending => ending.Identity,
        _ => null,
    };

    /// <summary>When the phase wants to be woken; null = only by an event.</summary>
    internal DateTimeOffset? Deadline => Phase switch
    {
        Phase.Alive { ReadyAt: null } alive => Earliest(alive.ProbeAt, alive.SpawnedAt + (Plan.Ready?.Within ?? ChildMachine.AliveIsReady)),
        Phase.Alive alive => alive.ProbeAt,
        Phase.Ending { Killed: true } ending => Earliest(ending.CountAt, ending.GiveUpAt),
        Phase.Ending ending => Earliest(ending.CountAt, ending.KillAt),
        Phase.Waiting waiting => waiting.Until,
        _ => null,
    };

    internal ProcessSnapshot Snapshot() => new()
    {
        Name = Plan.Name,
        Kind = Plan.Kind,
        State = Shown,
        Since = Since,
        Pid = Identity?.Pid,
        StartTicks = Identity?.StartTicks,
        Cgroup = Cgroup,
        Spawns = Spawns,
        Restarts = Restarts,
        NextStart = Phase is Phase.Waiting waiting ? waiting.Until : null,
        LastExit = LastExit,
        Reason = Redactor.Mask(Reason, Plan.Log.Secrets),
        Note = Redactor.Mask(Note, Plan.Log.Secrets),
        LogPath = Plan.LogPath,
        ErrorLogPath = Plan.ErrorLogPath,
        Grace = Grace,
        PlanSha256 = PlanSha256,
    };

    private static TimeSpan DefaultGrace(ProcessKind kind) => kind switch
    {
        ProcessKind.Agent => TimeSpan.FromSeconds(1),
        ProcessKind.Engine => TimeSpan.FromSeconds(5),
        ProcessKind.Job => TimeSpan.FromSeconds(30),
        _ => TimeSpan.FromSeconds(2),
    };

    private static DateTimeOffset? Earliest(DateTimeOffset? a, DateTimeOffset? b) => a is null ? b : b is null || a < b ? a : b;
}
