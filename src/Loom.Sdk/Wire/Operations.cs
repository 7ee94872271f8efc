using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Loom.Wire;

/// <summary>
/// What an operator, or a request for a model that is not loaded, asks a node to do with one of its pools: a closed set. The control plane hands it to each
/// node that has the pool; in HOME a call in memory, in CLOUD <c>POST /v2/pools/{id}/…</c> of the agent with the same body.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Preload), "preload")]
[JsonDerivedType(typeof(Drain), "drain")]
[JsonDerivedType(typeof(Undrain), "undrain")]
[JsonDerivedType(typeof(Reload), "reload")]
[JsonDerivedType(typeof(Purge), "purge")]
[JsonDerivedType(typeof(Swap), "swap")]
[JsonDerivedType(typeof(Fetch), "fetch")]
[JsonDerivedType(typeof(Verify), "verify")]
public abstract record PoolCommand
{
    private PoolCommand()
    {
    }

    /// <summary>The pool.</summary>
    public required string PoolId { get; init; }

    /// <summary>Word for it on the wire: <c>preload</c>, <c>drain</c> ...</summary>
    [JsonIgnore]
    public string Word => GetType().Name.ToLowerInvariant();

    /// <summary>Provision and start what is not running.</summary>
    public sealed record Preload : PoolCommand
    {
        /// <summary>Model to load; null = the first of the pool.</summary>
        public string? ModelRef { get; init; }

        /// <summary>An engine somebody prepared; its program must be one the node itself resolved or has configured.</summary>
        public HandoffDocument? Prepared { get; init; }
    }

    /// <summary>No new work; running work may finish until the deadline, then it is cut.</summary>
    public sealed record Drain : PoolCommand
    {
        /// <summary>Milliseconds; null = <c>serving.drain_deadline_ms</c>.</summary>
        public int? DeadlineMs { get; init; }
    }

    /// <summary>Takes work again.</summary>
    public sealed record Undrain : PoolCommand;

    /// <summary>Another model for the whole pool, atomically: all replicas have it afterwards, or all have the old one.</summary>
    public sealed record Reload : PoolCommand
    {
        /// <summary>The model: catalog id or reference.</summary>
        public required string NewModelRef { get; init; }

        /// <summary>Time running work has before it is cut, milliseconds; null = <c>serving.drain_deadline_ms</c>.</summary>
        public int? DeadlineMs { get; init; }
    }

    /// <summary>Stops the pool and removes what was fetched for it.</summary>
    public sealed record Purge : PoolCommand
    {
        /// <summary>Remove the fetched engine, too.</summary>
        public bool PurgeEngine { get; init; }

        /// <summary>Ids of models whose files are removed.</summary>
        public ImmutableArray<string> PurgeModels { get; init => field = value.IsDefault ? [] : value; } = [];

        /// <summary>Let running work finish first; null = yes.</summary>
        public bool? DrainFirst { get; init; }

        /// <summary>Remove the pool's cache folders.</summary>
        public bool DeleteCacheDirs { get; init; }

        /// <summary>Also while busy.</summary>
        public bool Force { get; init; }
    }

    /// <summary>Brings a model's file to the machine. It concerns no pool: the one named is only the way to the node.</summary>
    public sealed record Fetch : PoolCommand
    {
        /// <summary>Catalog id.</summary>
        public required string ModelId { get; init; }

        /// <summary>Where it comes from: an address, <c>hf:org/repo/file.gguf</c>, or an id the node knows.</summary>
        public required string Source { get; init; }

        /// <summary>Its checksum, 64 hex digits; null = the node must know it.</summary>
        public string? Sha256 { get; init; }
    }

    /// <summary>Reads a model's file through and compares its checksum. It concerns no pool: the one named is only the way to the node.</summary>
    public sealed record Verify : PoolCommand
    {
        /// <summary>Catalog id.</summary>
        public required string ModelId { get; init; }

        /// <summary>The checksum to compare with, 64 hex digits; null = the one recorded when it came.</summary>
        public string? Sha256 { get; init; }
    }

    /// <summary>Another of its models for one idle replica, because requests wait for it. Refused while work is in flight.</summary>
    public sealed record Swap : PoolCommand
    {
        /// <summary>The replica, <c>r0</c> ...</summary>
        public required string ReplicaName { get; init; }

        /// <summary>Id of the model, one of the pool's.</summary>
        public required string Model { get; init; }
    }
}

/// <summary>Where an operation stands.</summary>
public enum OperationState
{
    /// <summary>Under way.</summary>
    Running,

    /// <summary>Done.</summary>
    Succeeded,

    /// <summary>Ended without success; <see cref="OperationStatus.Error"/> says why.</summary>
    Failed,

    /// <summary>It did not succeed, and everything is as it was before.</summary>
    RolledBack,
}

/// <summary>One operation, as <c>GET /v2/operations/{id}</c> shows it. Immutable.</summary>
public sealed record OperationStatus
{
    /// <summary>Its id, a UUID.</summary>
    public required string Id { get; init; }

    /// <summary>Word of the command: <c>preload</c>, <c>drain</c>, <c>reload</c>, <c>purge</c>, <c>swap</c>, <c>verify</c> ...</summary>
    public required string Kind { get; init; }

    /// <summary>The pool; empty when it is about no pool.</summary>
    public string PoolId { get; init; } = "";

    /// <summary>Where it stands.</summary>
    [JsonConverter(typeof(OperationStateNames))]
    public required OperationState Status { get; init; }

    /// <summary>What it does, in order of beginning.</summary>
    public ImmutableArray<OperationStep> Steps { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Why it did not succeed; null when it did.</summary>
    public string? Error { get; init; }

    /// <summary>Whether it failed because something else is under way, before anything was begun: HTTP 409 for who asked.</summary>
    [JsonIgnore]
    public bool IsConflict { get; init; }

    /// <summary>Whether it has ended.</summary>
    [JsonIgnore]
    public bool Ended => Status != OperationState.Running;
}

/// <summary>One step of an operation or of provisioning; the same record wherever progress is shown.</summary>
public sealed record OperationStep
{
    /// <summary><see cref="Phase"/> of a check that found nothing to check on its node.</summary>
    public const string Absent = "absent";

    /// <summary>Id, for example <c>model:demo</c>.</summary>
    public required string Step { get; init; }

    /// <summary><c>engine_provision</c>, <c>model_fetch</c>, <c>pool_warmup</c> or <c>drain</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>What it belongs to: node and pool.</summary>
    public string? Group { get; init; }

    /// <summary><c>pending</c>, <c>running</c>, <c>completed</c> or <c>failed</c>.</summary>
    public required string Status { get; init; }

    /// <summary>Bytes done; null where bytes mean nothing.</summary>
    public long? BytesDone { get; init; }

    /// <summary>Bytes in all; null while unknown.</summary>
    public long? BytesTotal { get; init; }

    /// <summary>Percent done.</summary>
    public int? Pct { get; init; }

    /// <summary>What is being done now.</summary>
    public string? Phase { get; init; }

    /// <summary>One line for people.</summary>
    public string? Human { get; init; }
}

/// <summary><c>running</c>, <c>succeeded</c>, <c>failed</c>, <c>rolled_back</c>.</summary>
public sealed class OperationStateNames() : JsonStringEnumConverter<OperationState>(JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false);

/// <summary>
/// The pool does something else already, or is busy and was not told to wait: HTTP 409, code <c>CONFLICT</c>. Nothing was begun. The text says what is in
/// the way.
/// </summary>
public sealed class OperationConflictException(string message) : Exception(message);
