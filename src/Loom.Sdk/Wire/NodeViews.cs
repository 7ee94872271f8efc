using System.Collections.Immutable;
using System.Text.Json.Serialization;

namespace Loom.Wire;

/// <summary>One node as <c>GET /v2/nodes</c> shows it: what it registered, and how it is.</summary>
public sealed record NodeView
{
    /// <summary>Name of the node.</summary>
    public required string NodeId { get; init; }

    /// <summary><c>registering</c>, <c>online</c> or <c>offline</c>.</summary>
    public required string State { get; init; }

    /// <summary>Whether it drains: running work may finish, no new work.</summary>
    public bool Draining { get; init; }

    /// <summary>Where the control plane reaches it; empty when it is in the same process.</summary>
    public string Address { get; init; } = "";

    /// <summary>The machine it runs on.</summary>
    public string MachineId { get; init; } = "";

    /// <summary>The present start of its agent.</summary>
    public string InstanceId { get; init; } = "";

    /// <summary>Version of Loom on it.</summary>
    public string? Version { get; init; }

    /// <summary>True when anything it offers is a mock.</summary>
    public bool Mock { get; init; }

    /// <summary>Milliseconds since it last spoke, by the control plane's clock.</summary>
    public long LastHeartbeatMsAgo { get; init; }

    /// <summary>Its clock minus the control plane's at the last heartbeat, milliseconds; null before the first. Reported, never used.</summary>
    public long? ClockSkewMs { get; init; }

    /// <summary>Pools it registered.</summary>
    public ImmutableArray<string> PoolIds { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Its replicas as last told.</summary>
    public ImmutableArray<PoolBeat> Pools { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Its GPUs as last told.</summary>
    public ImmutableArray<GpuDevice> Gpus { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>What the machine has, as registered.</summary>
    public NodeCapabilities Capabilities { get; init => field = value ?? new(); } = new();

    /// <summary>The last 16 things that went wrong with it, oldest first.</summary>
    public ImmutableArray<NodeErrorView> RecentErrors { get; init => field = value.IsDefault ? [] : value; } = [];
}

/// <summary>Something that went wrong with a node.</summary>
/// <param name="At">When the control plane saw it.</param>
/// <param name="Message">What.</param>
public sealed record NodeErrorView(DateTimeOffset At, string Message);

/// <summary>Answer to <c>GET /v2/nodes</c>.</summary>
/// <param name="Nodes">The nodes, by id.</param>
/// <param name="Count">How many.</param>
public sealed record NodeList(ImmutableArray<NodeView> Nodes, int Count);

/// <summary>Body of <c>POST /v2/nodes/{id}/drain</c>.</summary>
/// <param name="DeadlineMs">Time running work has before it is cut, milliseconds, 0 to 3600000; null = <c>serving.drain_deadline_ms</c>.</param>
public sealed record NodeDrain(int? DeadlineMs = null);

/// <summary>JSON of these: snake_case, nulls left out.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(NodeView))]
[JsonSerializable(typeof(NodeList))]
[JsonSerializable(typeof(NodeDrain))]
public sealed partial class NodeViewJson : JsonSerializerContext;
