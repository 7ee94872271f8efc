using Loom.Components;

namespace Loom.Harness.Architecture.Guarantees;

/// <summary>
/// Which guarantee each source-to-sink path has, and its weakest link. A path is as good as its worst part: the source must be able to send again,
/// state must outlive a crash, no buffer may drop, and for an effectively-once result the sink must show repeats as one.
/// </summary>
internal static class GuaranteeRules
{
    /// <summary>One row for each source and each sink it reaches, in order of declaration.</summary>
    /// <param name="plan">The system.</param>
    /// <param name="adapter"><c>state.adapter</c> of the settings, where the plan names none.</param>
    public static IReadOnlyList<PathGuarantee> Of(SystemPlan plan, string? adapter = null)
    {
        var outgoing = plan.Bindings.ToLookup(b => b.FromComponent, StringComparer.Ordinal);
        var incoming = plan.Bindings.ToLookup(b => b.ToComponent, StringComparer.Ordinal);
        var order = plan.Components.Select((c, i) => (c.Name, i)).ToDictionary(p => p.Name, p => p.i, StringComparer.Ordinal);
        var before = new Dictionary<string, HashSet<string>>(StringComparer.Ordinal);
        var result = new List<PathGuarantee>();
        foreach (var source in plan.Components.Where(c => c.Type is ComponentType.Source or ComponentType.ApiEndpoint && outgoing.Contains(c.Name)))
        {
            var after = Reach(source.Name, n => outgoing[n].Select(b => b.ToComponent));
            foreach (var sink in after.Select(n => plan.Components[order[n]]).Where(c => c.Type == ComponentType.Sink).OrderBy(c => order[c.Name]))
            {
                if (!before.TryGetValue(sink.Name, out var reaching))
                {
                    before[sink.Name] = reaching = Reach(sink.Name, n => incoming[n].Select(b => b.FromComponent));
                }

                // Only what lies between is looked at, so that many short paths cost little.
                var names = after.Where(reaching.Contains).OrderBy(n => order[n]).ToList();
                var bindings = names.SelectMany(n => outgoing[n]).Where(b => reaching.Contains(b.ToComponent)).ToList();
                result.Add(Judge(plan.State.Adapter ?? adapter, source, sink, [.. names.Select(n => plan.Components[order[n]])], bindings));
            }
        }

        return result;
    }

    private static PathGuarantee Judge(string? adapter, ComponentPlan source, ComponentPlan sink, List<ComponentPlan> between, List<BindingPlan> bindings)
    {
        string[] repeats = [.. between.Where(c => c.Descriptor.SideEffects).Select(c => c.Name)];
        if (!source.Descriptor.Replayable && !source.Acknowledges)
        {
            return new PathGuarantee(source.Name, sink.Name, Delivery.AtMostOnce, $"source {source.Name} cannot send again what a crash lost; use a replayable source", repeats);
        }

        if (bindings.FirstOrDefault(b => b.Overflow is OverflowRule.DropOldest or OverflowRule.DropNewest or OverflowRule.Fail) is { } dropping)
        {
            return new PathGuarantee(source.Name, sink.Name, Delivery.AtMostOnce, $"binding {dropping.Name} drops when it is full; write overflow: block or spill", repeats);
        }

        if (between.FirstOrDefault(c => IsStateful(c) && (c.State.Adapter ?? adapter) == "inmem_ephemeral") is { } forgetful)
        {
            return new PathGuarantee(source.Name, sink.Name, Delivery.AtMostOnce, $"{forgetful.Name} keeps its state in memory only; use the adapter sqlite_snapshot or redis_snapshot", repeats);
        }

        if (!sink.Descriptor.Idempotent)
        {
            return new PathGuarantee(source.Name, sink.Name, Delivery.AtLeastOnce, $"sink {sink.Name} shows an event again when it is repeated; use an idempotent sink", repeats);
        }

        return source.Descriptor.Replayable
            ? new PathGuarantee(source.Name, sink.Name, Delivery.EffectivelyOnce, null, repeats)
            : new PathGuarantee(source.Name, sink.Name, Delivery.AtLeastOnce, $"source {source.Name} gives an event that is sent again another id; use a replayable source", repeats);
    }

    private static bool IsStateful(ComponentPlan component) => component.Descriptor.StateVersion > 0 || component.State != new StatePlan();

    private static HashSet<string> Reach(string start, Func<string, IEnumerable<string>> next)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal) { start };
        var open = new Stack<string>(seen);
        while (open.TryPop(out var each))
        {
            foreach (var name in next(each).Where(seen.Add))
            {
                open.Push(name);
            }
        }

        return seen;
    }
}
