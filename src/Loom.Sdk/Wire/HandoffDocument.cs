using System.Collections.Immutable;

namespace Loom.Wire;

/// <summary>
/// Content of a handoff file <c>{pool_id}-{replica_id}.json</c>: an engine that was prepared, or that already runs. What is null takes the pool's value.
/// Unknown fields are ignored.
/// </summary>
public sealed record HandoffDocument
{
    /// <summary>Version of this format.</summary>
    public int Schema { get; set; } = 1;

    /// <summary><c>prepared</c>: the agent starts and supervises it. <c>running</c>: somebody else does. Null with an url = running.</summary>
    public string? State { get; init; }

    /// <summary>Engine kind.</summary>
    public string? Engine { get; init; }

    /// <summary>Version of the engine.</summary>
    public string? EngineVersion { get; init; }

    /// <summary><c>external</c>, <c>source</c>, <c>container</c>, <c>package</c> or <c>binary</c>.</summary>
    public string? ProvisioningMode { get; init; }

    /// <summary>Pool; required.</summary>
    public string? PoolId { get; init; }

    /// <summary>Replica; required.</summary>
    public string? ReplicaId { get; init; }

    /// <summary>The model.</summary>
    public HandoffModel? Model { get; init; }

    /// <summary>Absolute path of the program.</summary>
    public string? BinaryPath { get; init; }

    /// <summary>Arguments after Loom's own.</summary>
    public ImmutableArray<string> Flags { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Variables added to its environment.</summary>
    public ImmutableDictionary<string, string> Env { get; init => field = value ?? ImmutableDictionary<string, string>.Empty; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>GPUs: indices, UUIDs, or <c>none</c>.</summary>
    public string? DeviceMask { get; init; }

    /// <summary>Requests it takes at once.</summary>
    public int? Slots { get; init; }

    /// <summary>The same, as engines that report it call it.</summary>
    public int? SlotsTotal { get; init; }

    /// <summary>How many of them are free; clamped to the total.</summary>
    public int? SlotsFree { get; init; }

    /// <summary>Address of a running engine.</summary>
    public string? Url { get; init; }

    /// <summary>Process of a running engine; watched.</summary>
    public int? Pid { get; init; }

    /// <summary>Answers are mock.</summary>
    public bool Mock { get; init; }
}

/// <summary>Model of a handoff file.</summary>
/// <param name="Id">Catalog id.</param>
/// <param name="Path">Absolute path of its file.</param>
/// <param name="Sha256">Its checksum, 64 hex digits; null = none known.</param>
public sealed record HandoffModel(string Id, string? Path = null, string? Sha256 = null);
