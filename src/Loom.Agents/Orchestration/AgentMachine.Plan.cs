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
                Change(replica, AfterStop.Remove, wanted: false);
            }
            else if (PlanHash.Of(plan.Process) != PlanHash.Of(replica.Process))
            {
                Change(replica with { Next = plan }, AfterStop.Replace, replica.Wanted);
            }
            else
            {
                Put(replica with { Agent = plan.Agent });
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

    /// <summary>Nothing of it runs any more: what now.</summary>
    private void Down(AgentReplica replica, AfterStop what, bool wanted)
    {
        if (what == AfterStop.Replace && replica.Next is { } next)
        {
            var plain = New(next.Agent, next.Process, Rest(wanted)) with { Waived = replica.Waived, SpawnedBefore = replica.Spawned };
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
