using System.Collections.Immutable;
using System.Globalization;
using Loom.Agents.Plans;
using Loom.Processes.Supervision;

namespace Loom.Agents.Orchestration;

/// <summary>What another plan means for an agent.</summary>
public enum AgentChangeKind
{
    /// <summary>It is the same; it is not touched.</summary>
    Unchanged,

    /// <summary>It is new and starts.</summary>
    Added,

    /// <summary>It is gone from the plan: it stops and is forgotten.</summary>
    Removed,

    /// <summary>Its processes differ: those that do restart.</summary>
    Changed,

    /// <summary>Only what it waits for, or what reloads it, differs; its processes run on.</summary>
    Rewired,
}

/// <summary>What another plan means for one agent.</summary>
/// <param name="Agent">Its name.</param>
/// <param name="Kind">What becomes of it.</param>
public sealed record AgentChange(string Agent, AgentChangeKind Kind);

/// <summary>What putting a plan in force did.</summary>
/// <param name="Generation">Number of the plan in force now.</param>
/// <param name="Changes">Each agent of the old and the new plan, by name.</param>
public sealed record ApplyResult(int Generation, ImmutableArray<AgentChange> Changes)
{
    /// <summary>For a log: <c>2 changed (a, b), 1 removed (c)</c>.</summary>
    public override string ToString()
    {
        var parts = Changes.Where(c => c.Kind != AgentChangeKind.Unchanged)
            .GroupBy(c => c.Kind, c => c.Agent)
            .OrderBy(g => g.Key)
            .Select(g => string.Create(CultureInfo.InvariantCulture, $"{g.Count()} {g.Key.ToString().ToLowerInvariant()} ({string.Join(", ", g)})"));
        var text = string.Join(", ", parts);
        return text.Length == 0 ? "nothing differs" : text;
    }
}

/// <summary>Compares two plans. Pure.</summary>
internal static class PlanDiff
{
    internal static ImmutableArray<AgentChange> Between(ProjectPlan present, ProjectPlan next)
    {
        var before = present.Agents.ToDictionary(a => a.Name, StringComparer.Ordinal);
        var after = next.Agents.ToDictionary(a => a.Name, StringComparer.Ordinal);
        return
        [
            .. before.Keys.Union(after.Keys, StringComparer.Ordinal)
                .Order(StringComparer.Ordinal)
                .Select(n => new AgentChange(n, Kind(before.GetValueOrDefault(n), after.GetValueOrDefault(n)))),
        ];
    }

    private static AgentChangeKind Kind(AgentPlan? before, AgentPlan? after) => (before, after) switch
    {
        (null, _) => AgentChangeKind.Added,
        (_, null) => AgentChangeKind.Removed,
        _ when !Processes(before).SequenceEqual(Processes(after)) => AgentChangeKind.Changed,
        _ when !SameWiring(before, after) => AgentChangeKind.Rewired,
        _ => AgentChangeKind.Unchanged,
    };

    private static IEnumerable<string> Processes(AgentPlan agent) => agent.Processes.Select(p => $"{p.Name} {PlanHash.Of(p)}");

    private static bool SameWiring(AgentPlan a, AgentPlan b) =>
        a.RestartsWithDependencies == b.RestartsWithDependencies && a.IsMain == b.IsMain && a.DependsOn.SequenceEqual(b.DependsOn) && SameWatch(a.Watch, b.Watch);

    /// <summary>Whether the same changes reload; arrays are compared by what they hold.</summary>
    internal static bool SameWatch(WatchPlan? a, WatchPlan? b) =>
        a is null || b is null
            ? a is null && b is null
            : a.Paths.SequenceEqual(b.Paths) && a.Include.SequenceEqual(b.Include) && a.Exclude.SequenceEqual(b.Exclude) && a.Check.SequenceEqual(b.Check)
                && a.Debounce == b.Debounce && a.Cascade == b.Cascade;
}
