using System.Collections.Immutable;

namespace Loom.Wire;

/// <summary>Where a replica stands in its life. Names are those of the pool table in the serving documentation.</summary>
public enum ReplicaState
{
    /// <summary>Its engine or model is being fetched or checked.</summary>
    Provisioning,

    /// <summary>The engine process runs but does not answer its health check yet.</summary>
    Starting,

    /// <summary>The health check answers; work may be sent.</summary>
    Ready,

    /// <summary>Running work may finish; no new work.</summary>
    Draining,

    /// <summary>Another model is being brought up; the old one serves meanwhile, as long as there is an address.</summary>
    Reloading,

    /// <summary>The health check fails or the process is being restarted; work waits.</summary>
    Unready,

    /// <summary>The breaker or the storm limit gave up; work is refused until an operator acts.</summary>
    Failed,

    /// <summary>Stopped on request or not loaded; starts on demand.</summary>
    Stopped,
}

/// <summary>Whether the node of a replica can be reached.</summary>
public enum NodeCondition
{
    /// <summary>It can.</summary>
    Online,

    /// <summary>It gets no new work.</summary>
    Draining,

    /// <summary>It has fallen silent, or refuses connections.</summary>
    Offline,
}

/// <summary>What kind of trouble made a replica fail before its engine ran; decides the exit code of a start.</summary>
public enum ReplicaFault
{
    /// <summary>A checksum is missing or wrong; a retry fetches the same bytes.</summary>
    Checksum,

    /// <summary>A download failed; a retry may help.</summary>
    Download,
}

/// <summary>Names one replica of one pool on one node. Two nodes may offer one pool; neither overwrites the other.</summary>
/// <param name="NodeId">Node the replica runs on.</param>
/// <param name="PoolId">Pool it belongs to, a name of <c>[serving.pools.*]</c>.</param>
/// <param name="ReplicaName">Position in the pool on that node: <c>r0</c>, <c>r1</c> ...</param>
public readonly record struct ReplicaId(string NodeId, string PoolId, string ReplicaName)
{
    /// <summary>The id as <c>node/pool/replica</c>, for logs and errors.</summary>
    public override string ToString() => $"{NodeId}/{PoolId}/{ReplicaName}";
}

/// <summary>
/// What a node says about one replica. An immutable snapshot: the node publishes a new one on every change, the control plane never writes to it.
/// </summary>
public sealed record ReplicaStatus
{
    /// <summary>Who this is.</summary>
    public required ReplicaId Id { get; init; }

    /// <summary>Where the replica stands.</summary>
    public required ReplicaState State { get; init; }

    /// <summary>Engine kind: <c>embedded</c>, <c>llama-server</c>, <c>openai</c>, <c>command</c> or <c>mock</c>.</summary>
    public required string EngineKind { get; init; }

    /// <summary>Version the engine reports; null while unknown.</summary>
    public string? EngineVersion { get; init; }

    /// <summary>Catalog id of the loaded (or first configured) model, for example <c>demo</c>.</summary>
    public required string Model { get; init; }

    /// <summary>Ids of all models the pool can serve, the loaded one first.</summary>
    public required ImmutableArray<string> Models { get; init; }

    /// <summary>The pool's first configured model, which its aliases name whatever is loaded; null = the loaded one.</summary>
    public string? FirstModel { get; init; }

    /// <summary><see cref="FirstModel"/>, or the loaded model where that is not told.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public string MainModel => FirstModel ?? Model;

    /// <summary>Further names clients may use for this pool.</summary>
    public ImmutableArray<string> Aliases { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Name the engine itself expects in <c>model</c>; null = forward the client's bytes unchanged.</summary>
    public string? UpstreamModel { get; init; }

    /// <summary>
    /// Base of the OpenAI routes, without a trailing slash: <c>http://127.0.0.1:28080/v1</c> for local engines, the provider's base otherwise. Null until known.
    /// </summary>
    public string? Url { get; init; }

    /// <summary>Requests the engine takes at once, 1 or more.</summary>
    public required int SlotsTotal { get; init; }

    /// <summary>Tokens per slot; null while unknown.</summary>
    public int? Ctx { get; init; }

    /// <summary>Creation time for <c>/v1/models</c>, Unix seconds.</summary>
    public long Created { get; init; }

    /// <summary>One line about the model from its file, shown by <c>/v1/models</c>; null when it has none.</summary>
    public string? Description { get; init; }

    /// <summary>What the engine offers beyond chat, completions: for example <c>embeddings</c>, <c>logprobs:post_sampling</c>.</summary>
    public ImmutableArray<string> Capabilities { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Whether the engine accepts <c>stream_options.include_usage</c>.</summary>
    public bool StreamUsage { get; set; } = true;

    /// <summary>Progress of loading in percent while provisioning or starting; null when unknown.</summary>
    public int? LoadPercent { get; init; }

    /// <summary>Why the replica is not ready, in words for an operator; null when it is.</summary>
    public string? LastError { get; init; }

    /// <summary>Kind of the failure; null = none of the known ones, or none at all.</summary>
    public ReplicaFault? Fault { get; init; }

    /// <summary>True when answers come from a mock engine.</summary>
    public bool Mock { get; init; }

    /// <summary>Slots that others than this control plane use, for example clients of an engine that somebody else runs.</summary>
    public int SlotsBusyElsewhere { get; init; }

    /// <summary>Whether a request for another of <see cref="Models"/> may have it loaded in place of this one.</summary>
    public bool Swap { get; init; }

    /// <summary>How long a model stays at least, once loaded, seconds.</summary>
    public int MinResidencySecs { get; init; }

    /// <summary>How long the last load took, from spawn to ready, milliseconds; null until measured.</summary>
    public int? LoadMs { get; init; }

    /// <summary>GPUs it may use: UUIDs or indices; empty = CPU.</summary>
    public ImmutableArray<string> DeviceMask { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Free memory of these GPUs, bytes; null = no GPU, or not known.</summary>
    public long? VramFreeBytes { get; init; }

    /// <summary>Where its node stands, as the control plane sees it; a node says nothing of that about itself.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public NodeCondition Node { get; init; }

    /// <summary>When it entered its state, Unix milliseconds by the node's clock.</summary>
    public long SinceMs { get; init; }

    /// <summary><c>config</c>, or <c>handoff</c> for an engine somebody else runs, be its pool configured or made for it.</summary>
    public string Source { get; init => field = value ?? "config"; } = "config";
}
