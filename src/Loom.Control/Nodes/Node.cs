using System.Collections.Immutable;
using Loom.Wire;

namespace Loom.Control.Nodes;

/// <summary>What a beat said, without its time and number: beats of one digest change nothing.</summary>
/// <param name="Pools">Digest of the pools.</param>
/// <param name="Gpus">Digest of the GPUs; zero = not told.</param>
/// <param name="Draining">Whether the node drains.</param>
internal readonly record struct BeatDigest(UInt128 Pools, UInt128 Gpus, bool Draining);

/// <summary>One node as the registry keeps it. Written by the registry alone.</summary>
internal sealed class Node(NodeRegistration registration, NodeLife life)
{
    public NodeRegistration Registration { get; set; } = registration;

    public NodeLife Life { get; set; } = life;

    /// <summary>In this process: it never falls silent, and its replicas keep the address of their engine.</summary>
    public bool IsLocal { get; init; }

    /// <summary>Number of the last beat; null = none told.</summary>
    public long? Seq { get; set; }

    /// <summary>The last beat, but for time and number; null = no beat yet.</summary>
    public BeatDigest? Digest { get; set; }

    /// <summary>The node's clock minus ours at the last beat.</summary>
    public TimeSpan? ClockSkew { get; set; }

    /// <summary>The last beat's pools, as told.</summary>
    public ImmutableArray<PoolBeat> Pools { get; set; } = [];

    /// <summary>GPUs as last told.</summary>
    public ImmutableArray<GpuDevice> Gpus { get; set; } = registration.Capabilities.Gpus;

    /// <summary>The node says that it drains.</summary>
    public bool Leaving { get; set; }

    /// <summary>An operator drains it; stays until it is undrained or removed, also over restarts of the agent.</summary>
    public bool Drained { get; set; }

    /// <summary>Its replicas as told, sorted by pool and replica.</summary>
    public ImmutableArray<ReplicaStatus> Told { get; set; } = [];

    /// <summary>Its replicas as the gateway may see them now: as told, unless the node itself stands in the way.</summary>
    public ImmutableArray<ReplicaStatus> Offered { get; set; } = [];

    public NodeErrors Errors { get; set; } = NodeErrors.None;
}
