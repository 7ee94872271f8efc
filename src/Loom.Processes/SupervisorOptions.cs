using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Processes;

/// <summary>What a supervisor needs to know about its surroundings.</summary>
public sealed record SupervisorOptions
{
    /// <summary>Names this run in the environment of every child (<c>LOOM_RUN_ID</c>); strays are found by it, so no two runs may share one.</summary>
    public required string RunId { get; init; }

    /// <summary>Command line that runs the guardian; empty = no guardian, and nobody cleans up after a kill -9.</summary>
    public ImmutableArray<string> GuardianCommand { get; init; } = [];

    /// <summary>
    /// True: orphans of our children become ours, are ended with us, and are reaped. Only for the one supervisor of a program: a second one in the same
    /// program would take its neighbour's orphans for its own. Default true.
    /// </summary>
    public bool AdoptStrays { get; init; } = true;

    /// <summary>Whether children get cgroups of their own: for limits of memory, processes and processor time, and for an end nothing escapes. Default off.</summary>
    public CgroupUse Cgroup { get; init; }

    /// <summary>Folder of the group below which theirs are made; null = the one this program is in.</summary>
    public string? CgroupFolder { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Source of the jitter in restart delays.</summary>
    public Random Random { get; init; } = new();

    public ILogger Logger { get; init; } = NullLogger.Instance;
}
