using Loom.Harness.Errors;
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
    /// <summary>Events in work.</summary>
    public long InHand => Math.Max(0, Taken - Done - Failed);
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
        ComponentSnapshot[] components =
        [
            .. assembly.Run.Hosts.Select(h => new ComponentSnapshot(
                h.Plan.Name,
                h.State,
                ReasonOf(assembly, h),
                h.Loop.Counters.Taken,
                h.Loop.Counters.Done,
                h.Loop.Counters.Filtered,
                h.Loop.Counters.Failed,
                h.Loop.Counters.Emitted,
                h.Loop.Outputs.Sum(o => o.Unbound),
                h.Loop.Inputs.Values.Cast<IDiverted>().Sum(i => i.Superseded),
                h.Restarts)),
        ];
        StreamSnapshot[] streams = [.. assembly.Run.Streams.Select(s => s.Snapshot())];
        return new RunSnapshot(components, streams, assembly.Checkpoints?.Snapshot, BottleneckOf(components, streams));
    }

    private static string? ReasonOf(SystemAssembly assembly, ComponentHost host) =>
        (host.Loop.Pause.Reason ?? (host.State is ComponentState.Failed or ComponentState.Restarting ? host.LastFailure?.Message : null)) is { } reason
            ? SecretText.Clean(assembly.Plan.Secrets, reason)
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
