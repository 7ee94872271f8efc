using System.Collections.Immutable;
using Loom.Agents.Discovery;

namespace Loom.Agents.Plans;

/// <summary>What a plan depends on that stands in no setting.</summary>
public sealed record PlanSurroundings
{
    /// <summary>Run id, for <c>${run.id}</c>.</summary>
    public required string RunId { get; init; }

    /// <summary>A free port of this machine, asked for by a name such as <c>writer.http</c>; the same name must get the same port while the run lasts, see <see cref="PortBook"/>.</summary>
    public required Func<string, int> FreePort { get; init; }

    /// <summary>Base address of Loom's own API as it is really bound, <c>/v1</c> included; null where none is served.</summary>
    public string? ApiBase { get; init; }

    /// <summary>Model that Loom's own API is asked for where no setting names one; null = unset.</summary>
    public string? LocalModel { get; init; }

    /// <summary>Address of the bridge as it is really bound, or of another machine; null where there is none.</summary>
    public string? BridgeAddress { get; init; }

    /// <summary>Which agents are meant.</summary>
    public RosterKind Kind { get; init; }

    /// <summary>Absolute scripts that replace discovery; for <see cref="RosterKind.Script"/> the one script.</summary>
    public ImmutableArray<string> Scripts { get; init; } = [];

    /// <summary>Arguments of the main script, after its own.</summary>
    public ImmutableArray<string> ScriptArguments { get; init; } = [];

    /// <summary>True: every agent with a script is watched; false: none; null: as configured.</summary>
    public bool? Watch { get; init; }
}
