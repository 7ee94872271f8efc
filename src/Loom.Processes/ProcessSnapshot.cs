namespace Loom.Processes;

/// <summary>Where a supervised process stands.</summary>
public enum ProcessState
{
    Pending,
    Starting,
    Running,
    Ready,
    Unhealthy,
    Backoff,
    Stopping,
    Stopped,
    Completed,
    Failed,
    Skipped,
    Blocked,
}

/// <summary>How a child ended: by code or by signal, exactly one of them; neither when somebody else reaped it and nobody knows how.</summary>
public sealed record ExitInfo(int? Code, int? Signal, DateTimeOffset At);

/// <summary>What a process and everything in its session or group use.</summary>
/// <param name="CpuTime">Processor time since their start, of ended and waited-for children too.</param>
/// <param name="ResidentBytes">Memory in use now; pages shared between them count for each.</param>
/// <param name="Processes">How many they are.</param>
public readonly record struct ProcessUsage(TimeSpan CpuTime, long ResidentBytes, int Processes);

/// <summary>An immutable view of one supervised process.</summary>
public sealed record ProcessSnapshot
{
    public required string Name { get; init; }

    public required ProcessKind Kind { get; init; }

    public required ProcessState State { get; init; }

    /// <summary>Since when it is in this state.</summary>
    public required DateTimeOffset Since { get; init; }

    public int? Pid { get; init; }

    /// <summary>Field 22 of <c>/proc/PID/stat</c>; with the boot id it tells a process from a later one with the same pid.</summary>
    public long? StartTicks { get; init; }

    /// <summary>Folder of its cgroup; null without one.</summary>
    public string? Cgroup { get; init; }

    /// <summary>How often it was spawned in this run.</summary>
    public int Spawns { get; init; }

    /// <summary>Automatic restarts since the counters were last cleared.</summary>
    public int Restarts { get; init; }

    public DateTimeOffset? NextStart { get; init; }

    public ExitInfo? LastExit { get; init; }

    /// <summary>Why it is in this state, with numbers.</summary>
    public string? Reason { get; init; }

    /// <summary>A remark beside state and reason, set by whoever steers the process; null = none.</summary>
    public string? Note { get; init; }

    public required string LogPath { get; init; }

    /// <summary>Path of the stderr log; null = it goes to <see cref="LogPath"/>.</summary>
    public string? ErrorLogPath { get; init; }

    public required TimeSpan Grace { get; init; }

    /// <summary>Fingerprint of the plan, environment included: differs when the configuration asks for something else.</summary>
    public string? PlanSha256 { get; init; }
}
