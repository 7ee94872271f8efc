using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>How a component stands at one moment.</summary>
/// <param name="Name">Its name.</param>
/// <param name="State">Where it is in its life.</param>
/// <param name="Reason">Why it is paused or failed; null when it is well.</param>
/// <param name="Taken">Events it took.</param>
/// <param name="Done">Events it handled to the end.</param>
/// <param name="Filtered">Those of them from which nothing came.</param>
/// <param name="Failed">Events that went to the error destination.</param>
/// <param name="Emitted">Events it sent on.</param>
/// <param name="Unbound">Events it sent to outputs nothing is bound to.</param>
/// <param name="Superseded">Events it never took, because one of the same correlation id had passed (<c>first_wins</c>).</param>
/// <param name="Restarts">Times it was set up again.</param>
internal sealed record ComponentSnapshot(
    string Name, ComponentState State, string? Reason, long Taken, long Done, long Filtered, long Failed, long Emitted, long Unbound, long Superseded, int Restarts)
{
    /// <summary>Events that were in hand when it failed and was set up anew, and do not come again.</summary>
    public long Lost { get; init; }

    /// <summary>Events in work.</summary>
    public long InHand => Taken - Done - Failed - Lost;

    // Its loop goes on meanwhile. What was taken is looked at first, so a row shows the work in hand as it was or less, and always adds up.
    public static ComponentSnapshot Of(ComponentHost host, string? reason)
    {
        var counters = host.Loop.Counters;
        var (taken, emitted, filtered) = (counters.Taken + host.Loop.Returned, counters.Emitted, counters.Filtered);
        var (done, failed, lost) = (counters.Done, counters.Failed, counters.Lost);
        return new ComponentSnapshot(
            host.Plan.Name,
            host.State,
            reason,
            Math.Max(taken, done + failed + lost),
            done,
            filtered,
            failed,
            emitted,
            host.Loop.Outputs.Sum(o => o.Unbound),
            host.Loop.Inputs.Values.Cast<IDiverted>().Sum(i => i.Superseded),
            host.Restarts) { Lost = lost };
    }
}

/// <summary>A run at one moment: everything that is shown of it is made from this. Immutable.</summary>
/// <param name="Components">In order of declaration.</param>
/// <param name="Streams">In order of the bindings.</param>
/// <param name="Checkpoints">Null where nothing can be resumed.</param>
/// <param name="Bottleneck">The component whose inputs are full while its outputs starve; null when there is none.</param>
internal sealed record RunSnapshot(
    IReadOnlyList<ComponentSnapshot> Components, IReadOnlyList<StreamSnapshot> Streams, CheckpointsSnapshot? Checkpoints, string? Bottleneck)
{
    public static RunSnapshot Of(SystemAssembly assembly)
    {
        ComponentSnapshot[] components = [.. assembly.Run.Hosts.Select(h => ComponentSnapshot.Of(h, ReasonOf(assembly, h)))];
        StreamSnapshot[] streams = [.. assembly.Run.Streams.Select(s => s.Snapshot())];
        return new RunSnapshot(components, streams, assembly.Checkpoints?.Snapshot, BottleneckOf(components, streams));
    }

    private static string? ReasonOf(SystemAssembly assembly, ComponentHost host) =>
        (host.Loop.Pause.Reason ?? (host.State is ComponentState.Failed or ComponentState.Restarting ? host.LastFailure?.Message : null)) is { } reason
            ? assembly.Secrets.In(reason)
            : null;

    /// <summary>Events that sources and endpoints brought in; an endpoint takes its answers and makes its requests.</summary>
    public long Read(SystemAssembly assembly) => assembly.Run.Hosts.Sum(h => h.Plan.Type switch
    {
        Loom.Components.ComponentType.Source => h.Loop.Counters.Taken,
        Loom.Components.ComponentType.ApiEndpoint => h.Loop.Counters.Emitted,
        _ => 0,
    });

    // Where pressure starts: inputs at least three quarters full, outputs at most a quarter; the fullest input first, the one nearest the end of equals.
    private static string? BottleneckOf(ComponentSnapshot[] components, StreamSnapshot[] streams)
    {
        string? found = null;
        var fullest = 0.75;
        foreach (var component in components)
        {
            var inputs = streams.Where(s => s.To.StartsWith(component.Name + ".", StringComparison.Ordinal)).ToList();
            var outputs = streams.Where(s => s.From.StartsWith(component.Name + ".", StringComparison.Ordinal));
            var fill = inputs.Count == 0 ? 0 : inputs.Max(s => (double)s.Depth / s.Capacity);
            if (fill >= fullest && outputs.All(s => s.Depth * 4 <= s.Capacity))
            {
                (found, fullest) = (component.Name, fill);
            }
        }

        return found;
    }
}
