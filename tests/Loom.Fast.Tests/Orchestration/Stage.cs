using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Processes;
using Shouldly;

namespace Loom.Fast.Tests.Orchestration;

/// <summary>The machine on a stage: its actions are carried out by a supervisor that a test plays. What was asked for stands in <see cref="Asked"/>.</summary>
internal sealed class Stage
{
    private readonly Dictionary<string, ProcessSnapshot> _processes = new(StringComparer.Ordinal);
    private readonly Queue<HostAction> _open = new();
    private readonly bool _byHand;

    /// <param name="plan">What is orchestrated.</param>
    /// <param name="byHand">False: each request is answered at once, a start by a running process, a stop by a stopped one.</param>
    internal Stage(ProjectPlan plan, bool byHand = false)
    {
        State = AgentMachine.New(plan);
        _byHand = byHand;
    }

    internal HostState State { get; private set; }

    /// <summary>Everything asked of the supervisor, as <c>start a</c>.</summary>
    internal List<string> Asked { get; } = [];

    /// <summary>The plan by which each process is known.</summary>
    internal Dictionary<string, ProcessPlan> Added { get; } = new(StringComparer.Ordinal);

    internal IReadOnlyCollection<HostAction> Open => _open;

    internal IReadOnlyDictionary<string, ProcessSnapshot> Processes => _processes;

    /// <summary>What is shown of a replica: <c>pending: why</c>.</summary>
    internal string Shown(string name)
    {
        var status = AgentStatus.Of(State.Find(name)!);
        return status.State.ToString().ToLowerInvariant() + (status.Reason is { Length: > 0 } reason ? ": " + reason : "");
    }

    internal Stage Start(params string[] names) => Do(new HostEvent.StartWanted(names.Length == 0 ? null : AgentNames.Resolve(State, names), true));

    internal Stage Stop(params string[] names) => Do(new HostEvent.StopWanted(AgentNames.Resolve(State, names), Dependents: false));

    internal Stage StopWithDependents(params string[] names) => Do(new HostEvent.StopWanted(AgentNames.Resolve(State, names), Dependents: true));

    internal Stage Restart(params string[] names) => Do(new HostEvent.RestartWanted(AgentNames.Resolve(State, names), true));

    internal Stage Pool(string name, bool started, bool ready, bool failed = false) => Do(new HostEvent.PoolTold(name, started, ready, failed));

    /// <summary>What was asked since the last look, names sorted within one kind of request that followed each other.</summary>
    internal IReadOnlyList<string> Take()
    {
        var taken = Asked.ToList();
        Asked.Clear();
        return taken;
    }

    internal Stage Ready(params string[] names) => Each(names, n => Tell(n, p => p with { State = ProcessState.Ready }));

    internal Stage Failed(string name, string reason, int? code = 1) =>
        Tell(name, p => p with { State = ProcessState.Failed, Reason = reason, Pid = null, LastExit = code is null ? p.LastExit : Exit(code.Value, p) });

    internal Stage Completed(params string[] names) => Each(names, n => Tell(n, p => p with { State = ProcessState.Completed, Pid = null, LastExit = Exit(0, p) }));

    internal Stage Blocked(string name) => Tell(name, p => p with { State = ProcessState.Blocked, Pid = null, LastExit = Exit(1, p) });

    /// <summary>It crashes and waits for its restart.</summary>
    internal Stage Crash(string name, int code = 1) => Tell(name, p => p with { State = ProcessState.Backoff, Pid = null, LastExit = Exit(code, p) });

    /// <summary>The supervisor starts it again by itself.</summary>
    internal Stage Respawn(string name) => Tell(name, p => p with { State = ProcessState.Running, Spawns = p.Spawns + 1, Pid = 1, Reason = null });

    internal Stage Tell(string name, Func<ProcessSnapshot, ProcessSnapshot> change)
    {
        _processes[name] = change(_processes[name]);
        return Do(new HostEvent.Told(_processes[name]));
    }

    internal Stage Do(HostEvent happened)
    {
        (State, var actions) = AgentMachine.Apply(State, happened);
        foreach (var action in actions)
        {
            Asked.Add($"{action.GetType().Name.ToLowerInvariant()} {action.Name}");
            _open.Enqueue(action);
        }

        while (!_byHand && _open.Count > 0)
        {
            Carry(_open.Dequeue());
        }

        return this;
    }

    /// <summary>Carries out the oldest open request.</summary>
    internal HostAction CarryNext()
    {
        var action = _open.Dequeue();
        Carry(action);
        return action;
    }

    private void Carry(HostAction action)
    {
        switch (action)
        {
            case HostAction.Add add:
                _processes.ContainsKey(add.Name).ShouldBeFalse();
                Fresh(add.Plan);
                break;
            case HostAction.Hold hold:
                _processes[hold.Name].Pid.ShouldBeNull();
                Tell(hold.Name, p => p with { State = hold.Shown, Reason = hold.Reason });
                break;
            case HostAction.Start start:
                _processes[start.Name].Pid.ShouldBeNull("one live incarnation, always");
                Respawn(start.Name);
                Do(new HostEvent.Answered(start.Name, start.Op, null));
                break;
            case HostAction.Restart again:
                Anew(again.Name, again.Op);
                break;
            case HostAction.Reload reload:
                Anew(reload.Name, reload.Op);
                break;
            case HostAction.Stop stop:
                if (_processes[stop.Name].State is not (ProcessState.Completed or ProcessState.Failed))
                {
                    Tell(stop.Name, p => p with { State = ProcessState.Stopped, LastExit = p.Pid is null ? p.LastExit : Exit(0, p), Pid = null, Reason = "stopped by request" });
                }

                Do(new HostEvent.Answered(stop.Name, stop.Op, null));
                break;
            case HostAction.Remove remove:
                _processes.Remove(remove.Name);
                Do(new HostEvent.Answered(remove.Name, remove.Op, null));
                break;
            case HostAction.Replace replace:
                _processes.Remove(replace.Name).ShouldBeTrue();
                Fresh(replace.Plan);
                Do(new HostEvent.Answered(replace.Name, replace.Op, null));
                break;
        }
    }

    private void Anew(string name, int op)
    {
        if (_processes[name].Pid is not null)
        {
            Tell(name, p => p with { State = ProcessState.Stopping });
            Tell(name, p => p with { State = ProcessState.Starting, Pid = null, LastExit = Exit(0, p) });
        }

        Respawn(name);
        Do(new HostEvent.Answered(name, op, null));
    }

    private void Fresh(ProcessPlan plan)
    {
        Added[plan.Name] = plan;
        _processes[plan.Name] = new ProcessSnapshot
        {
            Name = plan.Name,
            Kind = plan.Kind,
            State = ProcessState.Pending,
            Since = default,
            LogPath = plan.LogPath,
            Grace = TimeSpan.FromSeconds(1),
        };
        Do(new HostEvent.Told(_processes[plan.Name]));
    }

    private static ExitInfo Exit(int code, ProcessSnapshot before) => new(code, null, DateTimeOffset.UnixEpoch + TimeSpan.FromSeconds(before.Spawns));

    private Stage Each(IEnumerable<string> names, Action<string> what)
    {
        foreach (var name in names)
        {
            what(name);
        }

        return this;
    }
}
