using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Components;

/// <summary>What is known of a kind of component before one is made: from its attribute, its base type and its options.</summary>
internal sealed record ComponentDescriptor
{
    /// <summary>How <c>uses</c> names it.</summary>
    public required string Name { get; init; }

    public required ComponentType Type { get; init; }

    public required string Summary { get; init; }

    /// <summary>Version of its contract.</summary>
    public int Version { get; init; } = 1;

    /// <summary>Version of its state; 0 when it keeps none.</summary>
    public int StateVersion { get; init; }

    public bool Replayable { get; init; }

    public bool Acknowledges { get; init; }

    public bool Idempotent { get; init; }

    public bool SideEffects { get; init; }

    /// <summary>Refuses a concurrency above 1.</summary>
    public bool OneAtATime { get; init; }

    /// <summary>Leaves its loop to the harness, so capabilities around items can be executed.</summary>
    public bool ExecutesChain { get; init; }

    /// <summary>Items in work at once where the system does not say.</summary>
    public int Concurrency { get; init; } = 1;

    /// <summary>Events in a batch where the system says nothing of batching; 0 means one by one.</summary>
    public int BatchItems { get; init; }

    /// <summary>The class; null for a command.</summary>
    public Type? Class { get; init; }

    /// <summary>The record its <c>config</c> is bound to; null when it takes none.</summary>
    public Type? Options { get; init; }

    /// <summary>Its ports for given options (null where it takes none).</summary>
    public required Func<object?, IReadOnlyList<PortPlan>> Ports { get; init; }
}
