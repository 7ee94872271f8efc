namespace Loom.Processes;

/// <summary>
/// One process of this boot and no other: a pid alone may already belong to a stranger.
/// </summary>
/// <param name="Pid">Process id.</param>
/// <param name="StartTicks">Field 22 of <c>/proc/PID/stat</c>, clock ticks since boot.</param>
public readonly record struct ProcessIdentity(int Pid, long StartTicks);

/// <summary>Where identities come from.</summary>
public static class ProcessIdentities
{
    /// <summary>This very process.</summary>
    public static ProcessIdentity Self() => Of(Environment.ProcessId) ?? throw new InvalidOperationException("/proc is not mounted: Loom needs it to tell processes apart");

    /// <summary>The process that has this pid now; null when there is none.</summary>
    public static ProcessIdentity? Of(int pid) => Table.ProcessTable.ReadEntry(pid)?.Identity;

    /// <summary>The session of the process that has this pid now; null when there is none. Whatever a child starts stays in the session of that child.</summary>
    public static int? SessionOf(int pid) => Table.ProcessTable.ReadEntry(pid)?.Session;
}
