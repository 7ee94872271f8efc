using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Execution;

/// <summary>Components that feedback bindings join to a cycle.</summary>
/// <param name="Members">Their names.</param>
/// <param name="MaxInFlight">The smallest bound of its feedback bindings.</param>
internal sealed record FoundLoop(IReadOnlySet<string> Members, int MaxInFlight);

/// <summary>Finds the loops of a system: each is a knot of components every one of which can be reached from every other by data bindings. Pure.</summary>
internal static class LoopFinder
{
    public static IReadOnlyList<FoundLoop> Of(SystemPlan plan)
    {
        var bindings = plan.Bindings.Where(b => IsData(plan, b)).ToList();
        var forward = bindings.ToLookup(b => b.FromComponent, b => b.ToComponent, StringComparer.Ordinal);
        var back = bindings.ToLookup(b => b.ToComponent, b => b.FromComponent, StringComparer.Ordinal);
        var loops = new List<FoundLoop>();
        foreach (var feedback in bindings.Where(b => b.Feedback))
        {
            var members = Reached(feedback.ToComponent, forward);
            members.IntersectWith(Reached(feedback.ToComponent, back));
            if (!members.Contains(feedback.FromComponent))
            {
                continue;
            }

            var most = feedback.MaxInFlight ?? 1;
            if (loops.FindIndex(l => l.Members.SetEquals(members)) is >= 0 and var known)
            {
                loops[known] = loops[known] with { MaxInFlight = Math.Min(most, loops[known].MaxInFlight) };
            }
            else
            {
                loops.Add(new FoundLoop(members, most));
            }
        }

        return loops;
    }

    // What an endpoint answers closes no loop, and neither do requests or operations.
    private static bool IsData(SystemPlan plan, BindingPlan binding)
    {
        var from = plan.Components.First(c => c.Name == binding.FromComponent);
        var to = plan.Components.First(c => c.Name == binding.ToComponent);
        return from.Type is not (ComponentType.ApiEndpoint or ComponentType.Controller) && to.Type is not (ComponentType.ApiEndpoint or ComponentType.Controller)
            && to.Ports.First(p => p.Name == binding.ToPort && p.IsInput) is { Class: SemanticClass.DataIn or SemanticClass.ErrorIn, Flow: not FlowType.RequestResponse };
    }

    private static HashSet<string> Reached(string from, ILookup<string, string> edges)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal) { from };
        var open = new Stack<string>(seen);
        while (open.TryPop(out var each))
        {
            foreach (var next in edges[each].Where(seen.Add))
            {
                open.Push(next);
            }
        }

        return seen;
    }
}
