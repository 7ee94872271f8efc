using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Deployments;
using Loom.Harness.Components;
using Loom.Harness.Components.Classes;

namespace Loom.Harness.Architecture.Planning;

/// <summary>What making a plan needs besides the files' own text.</summary>
internal sealed record PlanningContext
{
    public required FindingList Findings { get; init; }

    /// <summary>Values of <c>${VAR}</c>.</summary>
    public required Variables Variables { get; init; }

    /// <summary>Overrides of this environment.</summary>
    public required Deployment Deployment { get; init; }

    public required HarnessOptions Settings { get; init; }

    public required ComponentCatalog Catalog { get; init; }

    /// <summary>Where classes of users come from.</summary>
    public required IClassSource Classes { get; init; }

    public required ISystemFiles Files { get; init; }

    /// <summary>The system's folder, absolute.</summary>
    public required string Directory { get; init; }
}
