namespace Loom.Processes;

/// <summary>
/// One process of this boot and no other: a pid alone may already belong to a stranger.
/// </summary>
/// <param name="Pid">Process id.</param>
/// <param name="StartTicks">Field 22 of <c>/proc/PID/stat</c>, clock ticks since boot.</param>
public readonly record struct ProcessIdentity(int Pid, long StartTicks);
