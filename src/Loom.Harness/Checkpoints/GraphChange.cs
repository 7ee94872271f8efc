using Loom.Harness.Architecture;

namespace Loom.Harness.Checkpoints;

/// <summary>Whether a checkpoint still fits a system whose components have changed since. Pure.</summary>
internal static class GraphChange
{
    /// <summary>State of a component that is gone must be given up by name, or the run is refused.</summary>
    /// <param name="id">The checkpoint.</param>
    /// <param name="parts">What it holds.</param>
    /// <param name="components">The components of now.</param>
    /// <param name="feedbacks">Names of the parts of its feedback bindings.</param>
    /// <param name="dropped">Names given to <c>--drop-state</c>.</param>
    /// <exception cref="StateRequiredException">Names what would be lost.</exception>
    public static void Check(CheckpointId id, IReadOnlyList<ManifestPart> parts, IReadOnlyList<ComponentPlan> components, IReadOnlyCollection<string> feedbacks, IReadOnlyCollection<string> dropped)
    {
        var gone = parts.Where(p => p.HasState && components.All(c => c.Name != p.Component) && !feedbacks.Contains(p.Component) && !dropped.Contains(p.Component)).Select(p => p.Component).ToList();
        if (gone.Count > 0)
        {
            throw new StateRequiredException(
                StateCodes.ComponentGone,
                $"checkpoint {id} holds the state of {string.Join(", ", gone.Select(g => $"\"{g}\""))}, and the system has no such component any more; "
                + $"{string.Join(" ", gone.Select(g => $"--drop-state {g}"))} gives it up, --fresh begins anew");
        }
    }
}
