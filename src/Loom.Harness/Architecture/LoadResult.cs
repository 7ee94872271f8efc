using Loom.Harness.Architecture.Planning;

namespace Loom.Harness.Architecture;

/// <summary>What loading a system led to.</summary>
/// <param name="Plan">Null when there is an error among the findings.</param>
/// <param name="Findings">Everything found wrong, by file and place.</param>
internal sealed record LoadResult(SystemPlan? Plan, IReadOnlyList<Finding> Findings)
{
    /// <summary>The plan with places and with what the lock is made of; null when the architecture could not be read.</summary>
    public PlannedSystem? Planned { get; init; }

    /// <summary>The deployment that was read, relative to the system's folder; null when there is none.</summary>
    public string? DeploymentFile { get; init; }

    public bool HasErrors => Findings.Any(f => f.Severity == Severity.Error);
}
