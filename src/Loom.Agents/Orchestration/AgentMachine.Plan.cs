using System.Collections.Immutable;
using Loom.Agents.Plans;
using Loom.Processes;
using Loom.Processes.Supervision;

namespace Loom.Agents.Orchestration;

/// <summary>How another plan takes the place of the present one, replica by replica.</summary>
internal sealed partial class AgentMachine
{
    private void TakePlan(ProjectPlan next)
    {
        var planned = next.Agents.SelectMany(a => a.Processes.Select(p => (Agent: a, Process: p))).ToDictionary(p => p.Process.Name, StringComparer.Ordinal);
        foreach (var replica in _order.Select(n => _replicas[n]).ToList())
        {
            if (!planned.TryGetValue(replica.Name, out var plan))
            {
                Unplan(replica);
            }
            else
            {
                Plan(replica, plan);
            }
        }

        foreach (var (agent, process) in next.Agents.SelectMany(a => a.Processes.Select(p => (a, p))).Where(p => !_replicas.ContainsKey(p.p.Name)))
        {
            _order.Add(process.Name);
            Put(Wishes.Want(New(agent, process, new ReplicaPhase.Off(Wishes.NotAsked)), waived: false));
        }

        var rank = planned.Keys.Select((name, i) => (name, i)).ToDictionary(p => p.name, p => p.i, StringComparer.Ordinal);
        _order.Sort((a, b) => rank.GetValueOrDefault(a, int.MaxValue).CompareTo(rank.GetValueOrDefault(b, int.MaxValue)));
        _state = _state with { Agents = next.Agents.ToImmutableDictionary(a => a.Name, StringComparer.Ordinal) };
        _graph = null;
    }

    private void Unplan(AgentReplica replica)
    {
        if (replica.Phase is ReplicaPhase.Changing changing)
        {
            // Forgotten once the supervisor has answered: two exchanges of one name never run at once.
            Put(replica with { Next = null, Unplanned = true, Phase = changing with { Wanted = false } });
        }
        else
        {
            Change(replica with { Next = null }, AfterStop.Remove, wanted: false);
        }
    }

    /// <summary>The newest plan counts, whatever an earlier one that is still being put in force wanted. What is back in the plan is wanted, like what is new.</summary>
    private void Plan(AgentReplica replica, (AgentPlan Agent, ProcessPlan Process) plan)
    {
        switch (replica.Phase)
        {
            case ReplicaPhase.Ending { Then: not AfterStop.Keep } ending:
                Put(replica with { Next = plan, Phase = ending with { Then = AfterStop.Replace, Wanted = ending.Wanted || ending.Then == AfterStop.Remove } });
                break;
            case ReplicaPhase.Changing changing:
                var wanted = changing.Wanted || changing.What == AfterStop.Remove || replica.Unplanned;
                Put(replica with { Next = plan, Unplanned = false, Phase = changing with { Wanted = wanted } });
                break;
            case var _ when PlanHash.Of(plan.Process) != PlanHash.Of(replica.Process):
                Change(replica with { Next = plan }, AfterStop.Replace, replica.Wanted);
                break;
            default:
                Put(replica with { Agent = plan.Agent });
                break;
        }
    }

    private void Change(AgentReplica replica, AfterStop what, bool wanted)
    {
        if (replica.Phase is ReplicaPhase.Off or ReplicaPhase.Waiting)
        {
            Down(replica, what, wanted); // nothing of it runs
        }
        else
        {
            Put(replica with { Phase = new ReplicaPhase.Ending(what, wanted, (replica.Phase as ReplicaPhase.Ending)?.Op) });
        }
    }

    /// <summary>The supervisor has exchanged or forgotten it: it rests on its new plan, unless a newer one has come meanwhile.</summary>
    private void Changed(AgentReplica replica, ReplicaPhase.Changing changing, string? error)
    {
        var forgotten = changing.What == AfterStop.Remove;
        switch (replica)
        {
            case { Unplanned: true } when !forgotten:
                Down(replica, AfterStop.Remove, wanted: false);
                break;
            case { Next: null } when forgotten:
                Drop(replica);
                break;
            case { Next: { } next } when !forgotten && PlanHash.Of(next.Process) == PlanHash.Of(replica.Process):
                Put(Settled(replica with { Agent = next.Agent, Next = null }, changing.Wanted, error));
                break;
            case { Next: not null }:
                Down(replica with { Known = !forgotten }, AfterStop.Replace, changing.Wanted);
                break;
            default:
                Put(Settled(replica, changing.Wanted, error));
                break;
        }
    }

    private AgentReplica Settled(AgentReplica replica, bool wanted, string? error) =>
        replica with { Fault = error ?? replica.Fault, Seen = null, Phase = error is null ? Rest(wanted) : new ReplicaPhase.Off(error) };

    /// <summary>Nothing of it runs any more: what now.</summary>
    private void Down(AgentReplica replica, AfterStop what, bool wanted)
    {
        if (what == AfterStop.Replace && replica.Next is { } next)
        {
            var plain = New(next.Agent, next.Process, Rest(wanted)) with
            {
                Waived = replica.Waived,
                SpawnedBefore = replica.Spawned,
                Survivors = replica.Survivors,
                Fault = replica.Survivors.IsEmpty ? null : replica.Fault,
            };
            if (replica.Known)
            {
                var op = NextOp();
                Put(plain with { Known = true, Phase = new ReplicaPhase.Changing(what, wanted, op) });
                _actions.Add(new HostAction.Replace(next.Process, op));
            }
            else
            {
                Put(plain);
            }
        }
        else if (what == AfterStop.Remove && replica.Known)
        {
            var op = NextOp();
            Put(replica with { Phase = new ReplicaPhase.Changing(what, Wanted: false, op) });
            _actions.Add(new HostAction.Remove(replica.Name, op));
        }
        else if (what == AfterStop.Remove)
        {
            Drop(replica);
        }
        else
        {
            Put(replica with { Phase = Rest(wanted) });
        }
    }

    private ReplicaPhase Rest(bool wanted) =>
        wanted && !_state.Closing ? new ReplicaPhase.Waiting(ProcessState.Pending, string.Empty) : new ReplicaPhase.Off(Wishes.ByRequest);
}
