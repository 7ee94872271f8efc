using Loom.Harness.Tests.Matching;

namespace Loom.Harness.Tests.Running;

/// <summary>How a case went.</summary>
/// <param name="Case">The case.</param>
/// <param name="Differences">What is not as expected; none when it passed.</param>
/// <param name="Notes">What helps to see why: events that failed, components that were held.</param>
/// <param name="Updated">Files that were written.</param>
/// <param name="Took">Real time.</param>
internal sealed record CaseResult(TestCase Case, IReadOnlyList<Difference> Differences, IReadOnlyList<string> Notes, IReadOnlyList<string> Updated, TimeSpan Took)
{
    public bool Passed => Differences.Count == 0;
}
