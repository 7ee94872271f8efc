using System.Collections.Immutable;

namespace Loom.Processes.Supervision;

/// <summary>A live process of a child besides its leader.</summary>
/// <param name="Identity">Which.</param>
/// <param name="Command">Its command line, secrets masked.</param>
internal readonly record struct Survivor(ProcessIdentity Identity, string Command)
{
    public override string ToString() => $"{Identity.Pid} ({Command})";
}

/// <summary>Something that happened to one supervised process: a closed set. What comes from the system names the incarnation it belongs to.</summary>
internal abstract record ChildEvent
{
    private ChildEvent()
    {
    }

    /// <summary>Somebody wants it up; clears counters.</summary>
    internal sealed record Start : ChildEvent;

    /// <summary>Somebody wants it down.</summary>
    internal sealed record Stop : ChildEvent;

    /// <summary>Somebody wants it down and up again; null = no reason given.</summary>
    internal sealed record Restart(string? Reason = null) : ChildEvent;

    /// <summary>What it runs has changed: down, and up again on trial.</summary>
    internal sealed record Reload(string Reason) : ChildEvent;

    /// <summary>It rests and is to be shown as held back.</summary>
    internal sealed record Hold(ProcessState Shown, string Reason) : ChildEvent;

    /// <summary>A remark to be shown; null takes it away.</summary>
    internal sealed record Note(string? Text) : ChildEvent;

    /// <summary>No more patience: what is being ended is killed now.</summary>
    internal sealed record Hurry : ChildEvent;

    /// <summary>The deadline of the present phase has come.</summary>
    internal sealed record Tick : ChildEvent;

    /// <summary>Who holds the port the child is going to listen on; null = it is free.</summary>
    internal sealed record PortChecked(int Incarnation, string? Holder) : ChildEvent;

    internal sealed record Spawned(int Incarnation, ProcessIdentity Identity, string? Cgroup = null) : ChildEvent;

    internal sealed record SpawnRefused(int Incarnation, string Reason, bool Permanent) : ChildEvent;

    /// <summary>The leader has ended; <paramref name="OutOfMemory"/>: the kernel killed for its memory limit.</summary>
    internal sealed record Exited(int Incarnation, int? Code, int? Signal, bool OutOfMemory = false) : ChildEvent;

    /// <summary>The command that was to stop it has ended, or its time is over.</summary>
    internal sealed record Asked(int Incarnation) : ChildEvent;

    /// <summary>It was seen with more memory than its limit.</summary>
    internal sealed record OverMemory(int Incarnation, long ResidentBytes) : ChildEvent;

    internal sealed record Probed(int Incarnation, bool Passed, string Detail) : ChildEvent;

    /// <summary>What is left of the incarnation besides its leader: group, session, descendants, strays.</summary>
    internal sealed record Counted(int Incarnation, ImmutableArray<Survivor> Members) : ChildEvent;
}

/// <summary>What the effects layer is to do: a closed set.</summary>
internal abstract record ChildAction
{
    private ChildAction()
    {
    }

    /// <summary>Look whether somebody already answers on the probed port.</summary>
    internal sealed record CheckPort(int Incarnation) : ChildAction;

    internal sealed record Spawn(int Incarnation) : ChildAction;

    internal sealed record Probe(int Incarnation, ProbePlan Plan) : ChildAction;

    internal sealed record CancelProbe : ChildAction;

    /// <summary>Run the command that asks it to stop.</summary>
    internal sealed record Ask(int Incarnation) : ChildAction;

    /// <summary>Signal the group (and wake it), and what escaped from it; then count what is left.</summary>
    internal sealed record Signal(int Incarnation, int Number) : ChildAction;

    /// <summary>Count what is left.</summary>
    internal sealed record Count(int Incarnation) : ChildAction;

    /// <summary>Reap the leader; its number is free from here on.</summary>
    internal sealed record Reap(int Incarnation) : ChildAction;
}
