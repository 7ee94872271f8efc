using System.Collections.Immutable;

namespace Loom.Node.Mock.Nodes;

/// <summary>How the nodes behave that <c>loom dev mock-nodes</c> pretends to be.</summary>
public sealed record MockNodesOptions
{
    /// <summary>How many; default 1.</summary>
    public int Count { get; init; } = 1;

    /// <summary>The control plane.</summary>
    public required Uri ControlPlane { get; init; }

    /// <summary>Its token; null = none.</summary>
    public string? Token { get; init; }

    /// <summary>Port all nodes answer on; 0 = any free port.</summary>
    public int Port { get; init; }

    /// <summary>Pools of each node, default 1: <c>default</c>, <c>pool-1</c>, <c>pool-2</c> ...</summary>
    public int Pools { get; init; } = 1;

    /// <summary>Slots of each pool; default 4.</summary>
    public int Slots { get; init; } = 4;

    /// <summary>Model each pool says it has loaded.</summary>
    public string Model { get; init; } = "mock";

    /// <summary>The same seed gives the same ids and the same jitter.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>What happens, in order.</summary>
    public ImmutableArray<MockStep> Script { get; init; } = [];

    /// <summary>Tell every answer; otherwise only those that differ from the one before.</summary>
    public bool TellAll { get; init; }
}
