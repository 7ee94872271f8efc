using Loom.Components;

namespace Loom.Harness.Checkpoints;

/// <summary>What a barrier brought together: everything one checkpoint will hold.</summary>
/// <param name="GraphHash">Hash of the canonical graph the state belongs to.</param>
/// <param name="Parts">One for each component that has state or offsets, in any order; names are unique.</param>
internal sealed record CheckpointDraft(string GraphHash, IReadOnlyList<CheckpointPart> Parts);

/// <summary>One component's share.</summary>
/// <param name="Component">Its name.</param>
/// <param name="ContractVersion">Version of its contract.</param>
/// <param name="StateVersion">Version of the state it writes.</param>
/// <param name="Offsets">Where each partition of a source goes on; empty for others.</param>
/// <param name="Write">Writes the frozen state; null where there is none.</param>
internal sealed record CheckpointPart(
    string Component, int ContractVersion, int StateVersion, IReadOnlyDictionary<string, long> Offsets, StateWriter? Write);

/// <summary>How a store keeps checkpoints.</summary>
internal sealed record CheckpointOptions
{
    /// <summary>Complete checkpoints kept in the lineage that is being written; at least 1, 10 by default (<c>state.keep</c>).</summary>
    public int Keep { get; init; } = 10;

    /// <summary>Age at which a checkpoint is removed, except the newest; null (the default) means never (<c>state.ttl</c>).</summary>
    public TimeSpan? TimeToLive { get; init; }
}

/// <summary>Whether a checkpoint can be resumed, as far as it has been looked at.</summary>
internal enum CheckpointStatus
{
    /// <summary>Its manifest is whole.</summary>
    Complete,

    /// <summary>It has no manifest: it is being written, was cut off, or somebody removed it.</summary>
    Unfinished,

    /// <summary>Something of it is missing or changed.</summary>
    Damaged,

    /// <summary>It was refused once and set aside; it is not looked at again unless asked for by id.</summary>
    Quarantined,
}

/// <summary>A checkpoint for people and for health.</summary>
/// <param name="Id">Its name.</param>
/// <param name="Status">Whether it can be resumed.</param>
/// <param name="Time">When it was taken; null where the manifest cannot be read.</param>
/// <param name="Bytes">State it holds, without the manifest.</param>
/// <param name="Components">Parts it holds.</param>
/// <param name="GraphHash">The graph it belongs to; null where the manifest cannot be read.</param>
/// <param name="Reason">What is wrong with it; null = nothing.</param>
internal sealed record CheckpointInfo(
    CheckpointId Id, CheckpointStatus Status, DateTimeOffset? Time, long Bytes, int Components, string? GraphHash, string? Reason);
