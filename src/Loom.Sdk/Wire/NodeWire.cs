using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Loom.Wire;

/// <summary>Body of <c>POST /v2/nodes/register</c>: who a node is and what it has. Unknown fields are ignored on both sides.</summary>
public sealed record NodeRegistration
{
    /// <summary>Name of the node, unique in the cluster: <c>[A-Za-z0-9._-]{1,128}</c>.</summary>
    public required string NodeId { get; init; }

    /// <summary>Tells a restart of this machine from another machine under the same name.</summary>
    public required string MachineId { get; init; }

    /// <summary>New for every start of the agent.</summary>
    public required string InstanceId { get; init; }

    /// <summary>Base URL under which the control plane reaches the agent, without a trailing slash.</summary>
    public required string Address { get; init; }

    /// <summary>Pools the node offers.</summary>
    public ImmutableArray<string> Pools { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>What the machine has.</summary>
    public NodeCapabilities Capabilities { get; init => field = value ?? new(); } = new();

    /// <summary>Version of Loom on the node.</summary>
    public string? Version { get; init; }

    /// <summary>True when anything the node offers is a mock.</summary>
    public bool Mock { get; init; }
}

/// <summary>What a machine has.</summary>
public sealed record NodeCapabilities
{
    /// <summary>GPUs in PCI bus order; empty on a machine without.</summary>
    public ImmutableArray<GpuDevice> Gpus { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Who told of the GPUs: <c>nvml</c>, <c>nvidia-smi</c> or <c>mock</c>.</summary>
    public string? GpuSource { get; init; }

    /// <summary>Cores the node may use.</summary>
    public int CpuCores { get; init; }

    /// <summary>Memory of the machine, bytes.</summary>
    public long RamTotalBytes { get; init; }

    /// <summary>Kinds of its engines, for example <c>llama-server</c>.</summary>
    public ImmutableArray<string> EngineKinds { get; init => field = value.IsDefault ? [] : value; } = [];
}

/// <summary>One GPU. What could not be read is null, never 0.</summary>
public sealed record GpuDevice
{
    /// <summary>Index in PCI bus order.</summary>
    public required int DeviceId { get; init; }

    /// <summary>Its UUID, for example <c>GPU-5f1c…</c>.</summary>
    public required string Uuid { get; init; }

    /// <summary>Product name.</summary>
    public string? Name { get; init; }

    /// <summary>Memory, bytes.</summary>
    public long? VramTotalBytes { get; init; }

    /// <summary>Memory nobody uses, bytes.</summary>
    public long? VramFreeBytes { get; init; }

    /// <summary>Share of time it was busy, 0 to 1.</summary>
    public double? Utilization { get; init; }

    /// <summary>Degrees Celsius.</summary>
    public int? TemperatureC { get; init; }

    /// <summary>For example <c>9.0</c>.</summary>
    public string? ComputeCapability { get; init; }

    /// <summary>Processes on it that this Loom did not start; null = unknown.</summary>
    public int? ForeignProcesses { get; init; }
}

/// <summary>Answer to a registration.</summary>
/// <param name="Success">Always true with status 200.</param>
/// <param name="Message">For a log.</param>
/// <param name="NodeId">The name registered.</param>
/// <param name="NextHeartbeatMs">When the first heartbeat is due, milliseconds.</param>
/// <param name="NodeTimeoutMs">Silence after which the node counts as offline, milliseconds.</param>
public sealed record NodeRegistered(bool Success, string Message, string NodeId, int NextHeartbeatMs, int NodeTimeoutMs);

/// <summary>Body of <c>POST /v2/nodes/{id}/heartbeat</c>.</summary>
public sealed record NodeHeartbeat
{
    /// <summary>The node's own clock; used only to report skew.</summary>
    public required DateTimeOffset Timestamp { get; init; }

    /// <summary>As registered; null = not told.</summary>
    public string? InstanceId { get; init; }

    /// <summary>Counts up within one instance; an older one is ignored. Null = not told.</summary>
    public long? Seq { get; init; }

    /// <summary>All replicas of the node.</summary>
    public required ImmutableArray<PoolBeat> Pools { get; init; }

    /// <summary>GPUs as they are now; null = as registered.</summary>
    public ImmutableArray<GpuDevice>? Gpus { get; init; }

    /// <summary>Drains as a whole: running work may finish, no new work.</summary>
    public bool Draining { get; init; }
}

/// <summary>
/// One replica in a heartbeat. The first five are required of every agent; ours tells the whole <see cref="ReplicaStatus"/>, so that a replica on another
/// machine is worth as much as one in this process.
/// </summary>
public sealed record PoolBeat
{
    /// <summary>Pool.</summary>
    public required string PoolId { get; init; }

    /// <summary>Takes work.</summary>
    public required bool Ready { get; init; }

    /// <summary>Running work may finish; no new work.</summary>
    public required bool Draining { get; init; }

    /// <summary>Slots nobody uses; clamped to the total.</summary>
    public required int SlotsFree { get; init; }

    /// <summary>Requests the engine takes at once.</summary>
    public required int SlotsTotal { get; init; }

    /// <summary>Replica within the pool on that node.</summary>
    public string ReplicaId { get; init => field = value ?? "r0"; } = "r0";

    /// <summary>Free memory of its GPUs, bytes; null = unknown or no GPU.</summary>
    public long? VramFreeBytes { get; init; }

    /// <summary>Engine kind.</summary>
    public string? Engine { get; init; }

    /// <summary>Version the engine reports.</summary>
    public string? EngineVersion { get; init; }

    /// <summary>Model that is loaded, or loaded first.</summary>
    public string? Model { get; init; }

    /// <summary>All models the replica can serve.</summary>
    public ImmutableArray<string> ModelsAvailable { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Why it is not ready.</summary>
    public string? LastError { get; init; }

    /// <summary>The rest of what our own agents know; null from others. Its <see cref="ReplicaStatus.Url"/> is never taken from here.</summary>
    public ReplicaStatus? Status { get; init; }
}

/// <summary>Answer to a heartbeat.</summary>
/// <param name="Success">Always true with status 200.</param>
/// <param name="NextHeartbeatMs">When the next one is due, milliseconds.</param>
public sealed record HeartbeatAnswer(bool Success, int NextHeartbeatMs);

/// <summary>JSON of the records that cross between control plane and nodes: snake_case, unknown fields ignored, nulls left out.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(NodeRegistration))]
[JsonSerializable(typeof(NodeRegistered))]
[JsonSerializable(typeof(NodeHeartbeat))]
[JsonSerializable(typeof(HeartbeatAnswer))]
[JsonSerializable(typeof(PoolCommand))]
[JsonSerializable(typeof(OperationStatus))]
[JsonSerializable(typeof(HandoffDocument))]
public sealed partial class NodeJson : JsonSerializerContext;
