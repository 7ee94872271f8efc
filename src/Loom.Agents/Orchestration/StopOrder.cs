namespace Loom.Agents.Orchestration;

/// <summary>Who of those that are to stop is asked next. Pure.</summary>
internal static class StopOrder
{
    /// <summary>Those that nothing alive, which is to stop too, depends on; what is not alive itself need not wait.</summary>
    /// <param name="ending">All that are to stop, asked or not.</param>
    /// <param name="graph">Who depends on whom.</param>
    /// <param name="hurried">Nobody waits for anybody.</param>
    internal static IReadOnlyList<AgentReplica> Next(List<AgentReplica> ending, Func<AgentGraph> graph, bool hurried)
    {
        var held = ending.FindAll(r => r.Phase is ReplicaPhase.Ending { Op: null });
        if (hurried || held.Count == 0)
        {
            return held;
        }

        var edges = graph();
        var free = held.FindAll(r => !r.Alive || !ending.Exists(e => e.Alive && edges.DependsOn(e.Agent.Name, r.Agent.Name)));

        // An old and a new plan together may wait in a circle: then nothing else would ever happen.
        return free.Count == 0 && ending.Count == held.Count ? held : free;
    }
}
