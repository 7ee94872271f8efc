using Loom.Components;
using Loom.Harness.Architecture.Planning;

namespace Loom.Harness.Architecture.Checks;

/// <summary>
/// A loop of bounded buffers can deadlock, so each needs a binding with <c>feedback: true</c> and <c>max_in_flight</c>, unless an APIEndpoint
/// closes it, which bounds its own requests. Requests with answers and the control plane are no part of a loop.
/// </summary>
internal static class CycleChecks
{
    public static void Run(PlacedSystem system, FindingList findings)
    {
        var edges = new Dictionary<string, List<PlacedBinding>>(StringComparer.Ordinal);
        foreach (var binding in system.Bindings.Where(b => Counts(system, b)))
        {
            if (!edges.TryGetValue(binding.Plan.FromComponent, out var list))
            {
                edges[binding.Plan.FromComponent] = list = [];
            }

            list.Add(binding);
        }

        foreach (var cycle in Cycles(system, edges))
        {
            var back = cycle.MaxBy(b => b.Node.Line)!;
            var path = string.Join(" -> ", cycle.Select(b => b.Plan.FromComponent).Append(cycle[0].Plan.FromComponent));
            findings.Error(Codes.Cycle, back.FromNode, $"cycle: {path}; give the binding that goes back feedback: true and max_in_flight");
        }

        foreach (var binding in system.Bindings.Where(b => b.Plan.Feedback && system.ByName.GetValueOrDefault(b.Plan.ToComponent)?.Port(b.Plan.ToPort)?.FanIn == FanIn.Concatenate))
        {
            findings.Error(Codes.Feedback, binding.ToNode,
                $"{binding.Plan.ToComponent}.{binding.Plan.ToPort} reads one binding to its end before the next (fan_in: concatenate), so what comes back by {binding.Plan.Name} would wait for ever; use merge or priority");
        }

        foreach (var binding in system.Bindings.Where(b => b.Plan.Feedback && !Reaches(b.Plan.ToComponent, b.Plan.FromComponent, edges)))
        {
            findings.Warning(Codes.Feedback, binding.Node.Find("feedback") ?? binding.Node, $"{binding.Plan.Name} is marked feedback and closes no cycle; remove feedback and max_in_flight");
        }
    }

    private static bool Counts(PlacedSystem system, PlacedBinding binding)
    {
        if (binding.Plan.Feedback || !system.ByName.TryGetValue(binding.Plan.FromComponent, out var from) || !system.ByName.TryGetValue(binding.Plan.ToComponent, out var to)
            || from.Plan.Type == ComponentType.ApiEndpoint || to.Plan.Type == ComponentType.ApiEndpoint)
        {
            return false;
        }

        return to.Port(binding.Plan.ToPort) is not ({ Class: SemanticClass.ControlIn or SemanticClass.MetricsIn } or { Flow: FlowType.RequestResponse })
            && from.Port(binding.Plan.FromPort) is not { Flow: FlowType.RequestResponse };
    }

    // Depth first without recursion, since a chain may be a hundred thousand long; every component is finished once, so each knot of cycles is told once.
    private static IEnumerable<List<PlacedBinding>> Cycles(PlacedSystem system, Dictionary<string, List<PlacedBinding>> edges)
    {
        var done = new HashSet<string>(StringComparer.Ordinal);
        var path = new List<(string Name, int Next, PlacedBinding? Via)>();
        var onPath = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var start in system.Components.Select(c => c.Plan.Name).Where(n => !done.Contains(n)))
        {
            path.Add((start, 0, null));
            onPath[start] = 0;
            while (path.Count > 0)
            {
                var (name, next, via) = path[^1];
                if (!edges.TryGetValue(name, out var outgoing) || next >= outgoing.Count)
                {
                    path.RemoveAt(path.Count - 1);
                    onPath.Remove(name);
                    done.Add(name);
                    continue;
                }

                path[^1] = (name, next + 1, via);
                var edge = outgoing[next];
                if (onPath.TryGetValue(edge.Plan.ToComponent, out var at))
                {
                    yield return [.. path.Skip(at + 1).Select(p => p.Via!), edge];
                }
                else if (!done.Contains(edge.Plan.ToComponent))
                {
                    onPath[edge.Plan.ToComponent] = path.Count;
                    path.Add((edge.Plan.ToComponent, 0, edge));
                }
            }
        }
    }

    private static bool Reaches(string from, string to, Dictionary<string, List<PlacedBinding>> edges)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal) { from };
        var open = new Stack<string>(seen);
        while (open.TryPop(out var each))
        {
            if (string.Equals(each, to, StringComparison.Ordinal))
            {
                return true;
            }

            foreach (var edge in edges.GetValueOrDefault(each) ?? [])
            {
                if (seen.Add(edge.Plan.ToComponent))
                {
                    open.Push(edge.Plan.ToComponent);
                }
            }
        }

        return false;
    }
}
