using Loom.Harness.Architecture;

namespace Loom.Harness.Execution;

/// <summary>What a plan may say and this version does not do: a run refuses it, rather than doing something else.</summary>
internal static class NotCarriedOut
{
    public const string Code = "LH226";

    public static IReadOnlyList<Finding> In(SystemPlan plan)
    {
        var findings = new List<Finding>();
        foreach (var binding in plan.Bindings)
        {
            if (binding.Feedback)
            {
                Add(findings, $"binding {binding.Name}: feedback is not carried out by this version; a cycle can go through an APIEndpoint or a request_response binding");
            }
        }

        return findings;
    }

    private static void Add(List<Finding> findings, string message) =>
        findings.Add(new Finding(Code, Severity.Error, SystemLoader.ArchitectureFile, 0, 0, message));
}
