using System.Collections.Immutable;
using Loom.Processes;
using Loom.Processes.Supervision;

namespace Loom.Fast.Tests.Processes;

/// <summary>One process as the machine sees it, with a clock the test holds.</summary>
internal sealed class MachineBench(ProcessPlan plan)
{
    internal DateTimeOffset Start { get; } = DateTimeOffset.UnixEpoch;

    internal DateTimeOffset Now { get; private set; } = DateTimeOffset.UnixEpoch;

    internal ChildState State { get; private set; } = ChildMachine.New(plan, DateTimeOffset.UnixEpoch);

    internal ProcessState Shown => State.Shown;

    internal static ProcessPlan Plan() => new()
    {
        Name = "a",
        Kind = ProcessKind.Agent,
        Command = ["a"],
        WorkingDirectory = "/",
        Environment = ImmutableDictionary<string, string>.Empty,
        LogPath = "/a.log",
    };

    /// <summary>A process the child has left behind.</summary>
    internal static Survivor Other(int pid) => new(new ProcessIdentity(pid, 1), "x");

    internal MachineBench At(double seconds)
    {
        Now = Start + TimeSpan.FromSeconds(seconds);
        return this;
    }

    internal MachineBench After(double seconds)
    {
        Now += TimeSpan.FromSeconds(seconds);
        return this;
    }

    internal MachineBench Tick()
    {
        Do(new ChildEvent.Tick());
        return this;
    }

    internal ImmutableArray<ChildAction> Do(ChildEvent happened)
    {
        (State, var actions) = ChildMachine.Apply(State, happened, Now, 0.5);
        return actions;
    }

    internal MachineBench Up()
    {
        if (Do(new ChildEvent.Start()) is [ChildAction.CheckPort])
        {
            Do(new ChildEvent.PortChecked(State.Incarnation, null));
        }

        return Spawned();
    }

    /// <summary>The spawn that was asked for has worked.</summary>
    internal MachineBench Spawned()
    {
        Do(new ChildEvent.Spawned(State.Incarnation, new ProcessIdentity(99 + State.Incarnation, 1)));
        return this;
    }

    internal void Die(int code)
    {
        Do(new ChildEvent.Exited(State.Incarnation, code, null));
        Do(new ChildEvent.Counted(State.Incarnation, []));
    }
}
