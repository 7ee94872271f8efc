namespace Loom.Harness.Architecture;

/// <summary>What loading a system led to.</summary>
/// <param name="Plan">Null when there is an error among the findings.</param>
/// <param name="Findings">Everything found wrong, by file and place.</param>
internal sealed record LoadResult(SystemPlan? Plan, IReadOnlyList<Finding> Findings)
{
    public bool HasErrors => Findings.Any(f => f.Severity == Severity.Error);
}
