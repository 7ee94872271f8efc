using System.Collections.Immutable;
using Loom.Agents.Plans;
using Loom.Processes;

namespace Loom.Agents.Orchestration;

/// <summary>What happens to the orchestrator: wishes of people, news of the supervisor and of the pools. A closed set.</summary>
internal abstract record HostEvent
{
    private HostEvent()
    {
    }

    /// <summary>Replicas are wanted up.</summary>
    /// <param name="Names">Names of replicas; null = all, which leaves alone what has completed.</param>
    /// <param name="Dependencies">Bring up what they depend on, and wait for it; false waives their conditions.</param>
    internal sealed record StartWanted(ImmutableArray<string>? Names, bool Dependencies) : HostEvent;

    /// <summary>Replicas are wanted down. With <paramref name="Dependents"/>, what cannot do without them stops first, and waits for them to come back.</summary>
    internal sealed record StopWanted(ImmutableArray<string> Names, bool Dependents) : HostEvent;

    /// <summary>Replicas are wanted down, then up; without <paramref name="Dependencies"/> whatever else there is stays as it is.</summary>
    internal sealed record RestartWanted(ImmutableArray<string> Names, bool Dependencies) : HostEvent;

    /// <summary>The files of an agent have changed. With <paramref name="Cascade"/>, what depends on it restarts after it.</summary>
    internal sealed record ReloadWanted(string Agent, string Reason, bool Cascade) : HostEvent;

    /// <summary>Another plan is to be in force.</summary>
    internal sealed record PlanWanted(ProjectPlan Next) : HostEvent;

    /// <summary>Everything is wanted down, for good.</summary>
    internal sealed record CloseWanted : HostEvent;

    /// <summary>No stop waits for another any more.</summary>
    internal sealed record Hurry : HostEvent;

    /// <summary>The supervisor tells the state of a process.</summary>
    internal sealed record Told(ProcessSnapshot Snapshot) : HostEvent;

    /// <summary>The supervisor has done what <paramref name="Op"/> asked for, or says why not.</summary>
    internal sealed record Answered(string Name, int Op, string? Error) : HostEvent
    {
        /// <summary>What outlived a stop.</summary>
        internal ImmutableArray<string> Survivors { get; init; } = [];
    }

    /// <summary>The supervisor does not take a process at all.</summary>
    internal sealed record Refused(string Name, string Error) : HostEvent;

    /// <summary>A pool is not as it was.</summary>
    internal sealed record PoolTold(string Pool, bool Started, bool Ready, bool Failed) : HostEvent;
}

/// <summary>What is to be done, by the supervisor. A closed set; each with an <c>Op</c> ends in <see cref="HostEvent.Answered"/>.</summary>
internal abstract record HostAction(string Name)
{
    /// <summary>Makes it known, without starting it.</summary>
    internal sealed record Add(ProcessPlan Plan) : HostAction(Plan.Name);

    /// <summary>Shows it as held back.</summary>
    internal sealed record Hold(string Name, ProcessState Shown, string Reason) : HostAction(Name);

    internal sealed record Start(string Name, int Op) : HostAction(Name);

    internal sealed record Restart(string Name, int Op, string Reason) : HostAction(Name);

    internal sealed record Reload(string Name, int Op, string Reason) : HostAction(Name);

    internal sealed record Stop(string Name, int Op) : HostAction(Name);

    /// <summary>Forgets it.</summary>
    internal sealed record Remove(string Name, int Op) : HostAction(Name);

    /// <summary>Forgets it and makes it known anew.</summary>
    internal sealed record Replace(ProcessPlan Plan, int Op) : HostAction(Plan.Name);
}
