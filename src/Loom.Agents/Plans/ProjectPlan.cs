using System.Collections.Immutable;
using Loom.Processes;

namespace Loom.Agents.Plans;

/// <summary>What a project asks for, read from <c>loom.toml</c> and <c>agents/</c> and judged whole. Immutable; <c>up --apply</c> makes a new one.</summary>
public sealed record ProjectPlan
{
    /// <summary>Absolute folder that holds <c>loom.toml</c>, or would.</summary>
    public required string ProjectFolder { get; init; }

    /// <summary>Name of the project, default the folder's.</summary>
    public required string Name { get; init; }

    /// <summary>Enabled agents, those of <c>loom.toml</c> in its order first, then those found in <c>agents/</c> by name.</summary>
    public required ImmutableArray<AgentPlan> Agents { get; init; }
}

/// <summary>One agent: its processes, what it waits for, what reloads it.</summary>
public sealed record AgentPlan
{
    /// <summary>Its id: <c>[a-z0-9][a-z0-9_-]{0,62}</c>.</summary>
    public required string Name { get; init; }

    /// <summary>One for each replica: <c>NAME</c> when there is one, else <c>NAME-1</c>, <c>NAME-2</c> ...; empty for zero replicas.</summary>
    public required ImmutableArray<ProcessPlan> Processes { get; init; }

    /// <summary>What must hold before it starts.</summary>
    public ImmutableArray<Dependency> DependsOn { get; init; } = [];

    /// <summary>Whether it is restarted after something it depends on was.</summary>
    public bool RestartsWithDependencies { get; init; }

    /// <summary>What reloads it; null = nothing.</summary>
    public WatchPlan? Watch { get; init; }

    /// <summary>The script it runs, absolute; null for a command.</summary>
    public string? Script { get; init; }

    /// <summary>Its end ends the run (<c>loom run</c>).</summary>
    public bool IsMain { get; init; }
}

/// <summary>A condition on something else.</summary>
/// <param name="Target">Name of the agent, or of the pool without <c>pools.</c>.</param>
/// <param name="On">What the target is.</param>
/// <param name="Until">What it must reach.</param>
public sealed record Dependency(string Target, DependencyKind On, DependencyCondition Until);

/// <summary>What a dependency points at.</summary>
public enum DependencyKind
{
    Agent,
    Pool,
}

/// <summary>How far the target must have come.</summary>
public enum DependencyCondition
{
    /// <summary>Its process runs.</summary>
    Started,

    /// <summary>It is ready.</summary>
    Ready,

    /// <summary>It has ended with a success code.</summary>
    Succeeded,

    /// <summary>It has ended, whatever the code.</summary>
    Ended,
}

/// <summary>What reloads an agent.</summary>
public sealed record WatchPlan
{
    /// <summary>Absolute files and folders; folders with everything below.</summary>
    public required ImmutableArray<string> Paths { get; init; }

    /// <summary>Globs a changed file must match one of, relative to its watched path; empty = all.</summary>
    public ImmutableArray<string> Include { get; init; } = [];

    /// <summary>Globs left out, besides those always left out.</summary>
    public ImmutableArray<string> Exclude { get; init; } = [];

    /// <summary>Quiet time before a change acts. Default 300 ms.</summary>
    public TimeSpan Debounce { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>Argument vector that must end with 0 before a reload; empty = none.</summary>
    public ImmutableArray<string> Check { get; init; } = [];

    /// <summary>Reload the agents that depend on it too.</summary>
    public bool Cascade { get; init; }
}
