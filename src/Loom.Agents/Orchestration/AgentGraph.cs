using Loom.Agents.Plans;

namespace Loom.Agents.Orchestration;

/// <summary>Who depends on whom among agents, over any number of steps. An agent that occurs with two plans has the edges of both.</summary>
internal sealed class AgentGraph
{
    private readonly Dictionary<string, HashSet<string>> _direct = new(StringComparer.Ordinal);
    private readonly Dictionary<string, HashSet<string>> _all = new(StringComparer.Ordinal);

    internal AgentGraph(IEnumerable<AgentPlan> agents)
    {
        foreach (var agent in agents)
        {
            if (!_direct.TryGetValue(agent.Name, out var targets))
            {
                _direct[agent.Name] = targets = new HashSet<string>(StringComparer.Ordinal);
            }

            targets.UnionWith(agent.DependsOn.Where(d => d.On == DependencyKind.Agent).Select(d => d.Target));
        }
    }

    /// <summary>Whether <paramref name="agent"/> needs <paramref name="target"/>, directly or through others.</summary>
    internal bool DependsOn(string agent, string target) => AllOf(agent).Contains(target);

    /// <summary>Everything an agent needs.</summary>
    internal IReadOnlySet<string> AllOf(string agent)
    {
        if (_all.TryGetValue(agent, out var known))
        {
            return known;
        }

        var found = new HashSet<string>(StringComparer.Ordinal);
        var open = new Stack<string>([agent]);
        while (open.TryPop(out var next))
        {
            foreach (var target in _direct.GetValueOrDefault(next) ?? [])
            {
                if (found.Add(target))
                {
                    open.Push(target);
                }
            }
        }

        return _all[agent] = found;
    }
}
