using System.Collections.Immutable;
using Loom.Agents.Plans;
using Loom.Processes;

namespace Loom.Agents.Orchestration;

/// <summary>
/// The orchestrator's whole judgement: which replica starts, waits, is skipped or stops when something happens. Pure: no clock, no effect of its own. How a
/// process is kept alive is not its business, but the supervisor's; it asks for starts and stops, and each is asked for once.
/// </summary>
internal sealed partial class AgentMachine
{
    private readonly ImmutableArray<HostAction>.Builder _actions = ImmutableArray.CreateBuilder<HostAction>();
    private readonly Dictionary<string, AgentReplica> _replicas;
    private readonly List<string> _order;
    private AgentGraph? _graph;
    private HostState _state;

    private AgentMachine(HostState state)
    {
        _state = state;
        _order = [.. state.Replicas.Select(r => r.Name)];
        _replicas = state.Replicas.ToDictionary(r => r.Name, StringComparer.Ordinal);
    }

    /// <summary>A project of which nothing was started yet.</summary>
    internal static HostState New(ProjectPlan plan) => new()
    {
        Agents = plan.Agents.ToImmutableDictionary(a => a.Name, StringComparer.Ordinal),
        Replicas = [.. plan.Agents.SelectMany(a => a.Processes.Select(p => New(a, p, new ReplicaPhase.Off(Wishes.NotAsked))))],
    };

    /// <summary>Answers one event.</summary>
    internal static (HostState State, ImmutableArray<HostAction> Actions) Apply(HostState state, HostEvent happened)
    {
        var machine = new AgentMachine(state);
        machine.Handle(happened);
        machine.Settle();
        return (machine.Current(), machine._actions.ToImmutable());
    }

    private static AgentReplica New(AgentPlan agent, ProcessPlan process, ReplicaPhase phase) => new() { Agent = agent, Process = process, Phase = phase };

    private HostState Current() => _state with { Replicas = [.. _order.Select(n => _replicas[n])] };

    private void Handle(HostEvent happened)
    {
        switch (happened)
        {
            case HostEvent.StartWanted e when !_state.Closing:
                StartWanted(e.Names, e.Dependencies);
                break;
            case HostEvent.StopWanted e:
                var running = e.Names.Where(n => _replicas.GetValueOrDefault(n)?.Phase is ReplicaPhase.Up or ReplicaPhase.Ending).ToHashSet(StringComparer.Ordinal);
                Each(e.Names, Stop);
                if (e.Dependents)
                {
                    SendBack(running);
                }

                break;
            case HostEvent.RestartWanted e when !_state.Closing:
                Each(e.Names, r => Restart(r, e.Dependencies));
                StartDependencies(e.Names, e.Dependencies);
                if (!e.Dependencies)
                {
                    Each(_order, r => Put(Expecting(r, e.Names)));
                }

                break;
            case HostEvent.ReloadWanted e when !_state.Closing:
                Each(_order.Where(n => _replicas[n].Agent.Name == e.Agent), r => Reload(r, e.Reason));
                if (e.Cascade)
                {
                    Each(_order.Where(n => Graph().DependsOn(_replicas[n].Agent.Name, e.Agent)), r => Put(r with { FollowsNext = true }));
                }

                break;
            case HostEvent.PlanWanted e when !_state.Closing:
                TakePlan(e.Next);
                break;
            case HostEvent.CloseWanted:
                _state = _state with { Closing = true };
                Each(_order, Stop);
                break;
            case HostEvent.Hurry:
                _state = _state with { Hurried = true };
                break;
            case HostEvent.Told e when _replicas.TryGetValue(e.Snapshot.Name, out var replica):
                Put(Told(replica, e.Snapshot));
                if (e.Snapshot.Spawns > (replica.Seen?.Spawns ?? 0))
                {
                    // It runs on what is there now, whoever started it.
                    Put(_replicas[replica.Name] with { Basis = Basis(replica.Agent, new Conditions(_replicas, _state)) });
                }

                break;
            case HostEvent.Answered e when _replicas.TryGetValue(e.Name, out var replica):
                Answered(replica, e);
                break;
            case HostEvent.Refused e when _replicas.TryGetValue(e.Name, out var replica):
                Put(replica with { Fault = e.Error, Known = false, Phase = new ReplicaPhase.Off(e.Error) });
                break;
            case HostEvent.PoolTold e:
                PoolTold(e);
                break;
        }
    }

    // ---- wishes

    private void StartWanted(ImmutableArray<string>? names, bool dependencies)
    {
        if (names is not { } named)
        {
            Each(_order, r => Put(Wishes.Start(r, again: false, waived: false)));
            return;
        }

        Each(named, r => Put(Wishes.Start(r, again: true, waived: !dependencies)));
        StartDependencies(named, dependencies);
    }

    /// <summary>What the named ones depend on comes up too; what has completed there is not done again.</summary>
    private void StartDependencies(IEnumerable<string> names, bool wanted)
    {
        if (!wanted)
        {
            return;
        }

        var asked = names.ToHashSet(StringComparer.Ordinal);
        var needed = asked.Where(_replicas.ContainsKey).SelectMany(n => Graph().AllOf(_replicas[n].Agent.Name)).ToHashSet(StringComparer.Ordinal);
        Each(_order.Where(n => needed.Contains(_replicas[n].Agent.Name) && !asked.Contains(n)), r => Put(Wishes.Start(r, again: false, waived: false)));
    }

    private void Stop(AgentReplica replica) => Put(Wishes.Stop(replica));

    /// <summary>
    /// What runs on an agent that is going away altogether stops too, and waits for it again. A job that has done its work may go, and what was down before is
    /// missed by nobody who runs now.
    /// </summary>
    /// <param name="leaving">What this request stops; what is sent back joins it.</param>
    private void SendBack(HashSet<string> leaving)
    {
        bool again;
        do
        {
            again = false;
            foreach (var replica in _order.Select(n => _replicas[n]).Where(r => r.Phase is ReplicaPhase.Up && r.Agent.DependsOn.Any(d => IsLeaving(d, leaving))).ToList())
            {
                Put(replica with { Phase = new ReplicaPhase.Ending(AfterStop.Keep, Wanted: true, Op: null), Waived = false });
                again |= leaving.Add(replica.Name);
            }
        }
        while (again);
    }

    private bool IsLeaving(Dependency dependency, HashSet<string> leaving)
    {
        var replicas = _order.Select(n => _replicas[n]).Where(r => r.Agent.Name == dependency.Target).ToList();
        return dependency is { On: DependencyKind.Agent, Until: DependencyCondition.Started or DependencyCondition.Ready }
            && replicas.Exists(r => leaving.Contains(r.Name)) && replicas.TrueForAll(r => r.Phase is ReplicaPhase.Ending or ReplicaPhase.Off);
    }

    /// <summary>It does not follow the coming start of <paramref name="names"/>.</summary>
    private AgentReplica Expecting(AgentReplica replica, ImmutableArray<string> names) => replica with
    {
        Basis = replica.Basis.SetItems(names.Where(replica.Basis.ContainsKey).Select(n => KeyValuePair.Create(n, _replicas[n].Spawned + 1))),
    };

    private void Restart(AgentReplica replica, bool dependencies)
    {
        if (replica.Phase is ReplicaPhase.Up)
        {
            Put(replica with { Phase = new ReplicaPhase.Ending(AfterStop.Keep, Wanted: true, Op: null), Waived = !dependencies });
        }
        else
        {
            Put(Wishes.Start(replica, again: true, waived: !dependencies));
        }
    }

    /// <summary>What waits or is down starts with the new files anyway.</summary>
    private void Reload(AgentReplica replica, string reason)
    {
        if (replica.Phase is ReplicaPhase.Up && replica.Fault is null)
        {
            var op = NextOp();
            Put(Begun(replica, op));
            _actions.Add(new HostAction.Reload(replica.Name, op, reason));
        }
    }

    // ---- news

    private static AgentReplica Told(AgentReplica replica, ProcessSnapshot snapshot)
    {
        var heard = replica with { Seen = snapshot };
        switch (replica.Phase)
        {
            case ReplicaPhase.Up { Op: not null } when snapshot.State is ProcessState.Starting or ProcessState.Running:
                return heard with { ExitBefore = snapshot.LastExit }; // of the incarnation before this one
            case ReplicaPhase.Up { Op: null } when snapshot.State is ProcessState.Ready:
                return heard with { WasReady = true };
            case ReplicaPhase.Up { Op: null } when snapshot.State is ProcessState.Stopped:
                return heard with { Phase = new ReplicaPhase.Off(snapshot.Reason ?? Wishes.ByRequest) };
            default:
                return heard;
        }
    }

    private void Answered(AgentReplica replica, HostEvent.Answered e)
    {
        switch (replica.Phase)
        {
            case ReplicaPhase.Up up when up.Op == e.Op:
                var answered = replica with { Phase = new ReplicaPhase.Up(null), Fault = e.Error };
                Put(answered.Seen is { } seen ? Told(answered, seen) : answered);
                break;
            case ReplicaPhase.Ending ending when ending.Op == e.Op:
                // Nothing is started beside what outlived KILL: it may still hold ports and files.
                Down(replica with { Fault = e.Error, Survivors = e.Survivors }, ending.Then, ending.Wanted && e.Survivors.IsEmpty);
                break;
            case ReplicaPhase.Changing changing when changing.Op == e.Op:
                Changed(replica, changing, e.Error);
                break;
        }
    }

    private void PoolTold(HostEvent.PoolTold e)
    {
        var before = _state.Pools.GetValueOrDefault(e.Pool, PoolView.Unseen);
        var starts = before.Starts + (e.Started && !before.Started ? 1 : 0);
        _state = _state with { Pools = _state.Pools.SetItem(e.Pool, new PoolView(e.Started, e.Ready, e.Failed, starts)) };
    }

    // ---- consequences

    /// <summary>Judges every replica until nothing more follows.</summary>
    private void Settle()
    {
        var conditions = new Conditions(_replicas, _state);
        bool again;
        do
        {
            again = false;
            foreach (var replica in _order.Select(n => _replicas[n]).ToList())
            {
                switch (replica.Phase)
                {
                    case ReplicaPhase.Waiting waiting:
                        again |= Judge(replica, waiting, conditions);
                        break;
                    case ReplicaPhase.Up { Op: null } when MustFollow(replica, conditions):
                        Follow(replica, conditions);
                        again = true;
                        break;
                }
            }
        }
        while (again);

        AskStops();
    }

    private bool Judge(AgentReplica replica, ReplicaPhase.Waiting waiting, Conditions conditions)
    {
        var verdict = replica.Waived ? Verdict.Holds.Instance : conditions.Of(replica.Agent);
        ReplicaPhase.Waiting? held = verdict switch
        {
            Verdict.NotYet wait => new(ProcessState.Pending, wait.Reason),
            Verdict.Never never => new(ProcessState.Skipped, never.Reason),
            _ => null,
        };
        if (held == waiting)
        {
            return false;
        }

        if (held is not null && replica.Seen?.State == ProcessState.Backoff)
        {
            // Asked to start now instead of after its delay, but its conditions do not hold: the delay goes on.
            Put(replica with { Phase = new ReplicaPhase.Up(null) });
            return true;
        }

        if (!replica.Known)
        {
            replica = replica with { Known = true };
            _actions.Add(new HostAction.Add(replica.Process));
        }

        if (held is not null)
        {
            Put(replica with { Phase = held });
            _actions.Add(new HostAction.Hold(replica.Name, held.Shown, held.Reason));
            return true;
        }

        var op = NextOp();
        Put(Begun(replica, op) with { Basis = Basis(replica.Agent, conditions) });
        _actions.Add(new HostAction.Start(replica.Name, op));
        return true;
    }

    /// <summary>Whether it runs on what has been restarted under it, and that has come far enough again.</summary>
    private bool MustFollow(AgentReplica replica, Conditions conditions) =>
        (replica.Agent.RestartsWithDependencies || replica.FollowsNext) && !_state.Closing && replica.Alive && Restarted(replica, conditions).Any()
        && conditions.Of(replica.Agent) is Verdict.Holds;

    private static IEnumerable<string> Restarted(AgentReplica replica, Conditions conditions) =>
        conditions.Starts(replica.Agent).Where(s => replica.Basis.TryGetValue(s.Key, out var before) && s.Value > before).Select(s => s.Key);

    private void Follow(AgentReplica replica, Conditions conditions)
    {
        var op = NextOp();
        var reason = $"restarting after {string.Join(", ", Restarted(replica, conditions))}";
        Put(Begun(replica, op) with { Basis = Basis(replica.Agent, conditions) });
        _actions.Add(new HostAction.Restart(replica.Name, op, reason));
    }

    private void AskStops()
    {
        foreach (var replica in StopOrder.Next([.. _order.Select(n => _replicas[n]).Where(r => r.Phase is ReplicaPhase.Ending)], Graph, _state.Hurried))
        {
            var op = NextOp();
            Put(replica with { Phase = (ReplicaPhase.Ending)replica.Phase with { Op = op } });
            _actions.Add(new HostAction.Stop(replica.Name, op));
        }
    }

    // ---- small things

    private static AgentReplica Begun(AgentReplica replica, int op) =>
        replica with { Phase = new ReplicaPhase.Up(op), ExitBefore = replica.Seen?.LastExit, WasReady = false, FollowsNext = false, Fault = null };

    private static ImmutableDictionary<string, int> Basis(AgentPlan agent, Conditions conditions) =>
        conditions.Starts(agent).DistinctBy(s => s.Key).ToImmutableDictionary();

    private AgentGraph Graph() => _graph ??= new(_state.Agents.Values.Concat(_order.Select(n => _replicas[n].Agent)));

    private int NextOp()
    {
        _state = _state with { LastOp = _state.LastOp + 1 };
        return _state.LastOp;
    }

    private void Each(IEnumerable<string> names, Action<AgentReplica> what)
    {
        foreach (var name in names.ToList())
        {
            if (_replicas.TryGetValue(name, out var replica))
            {
                what(replica);
            }
        }
    }

    private void Put(AgentReplica replica) => _replicas[replica.Name] = replica;

    private void Drop(AgentReplica replica)
    {
        _order.Remove(replica.Name);
        _replicas.Remove(replica.Name);
    }
}
