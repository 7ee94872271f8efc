using System.Text.Json;
using Loom.Components;
using Loom.Harness.Alerts;
using Loom.Harness.Components;

namespace Loom.Harness.Architecture;

/// <summary>
/// A whole system as its files say it, checked, with every default and every override of the deployment filled in: what a run is made from and
/// what the lock is computed from. Immutable.
/// </summary>
internal sealed record SystemPlan
{
    /// <summary><c>system.name</c>.</summary>
    public required string Name { get; init; }

    /// <summary><c>system.version</c>, <c>x.y.z</c>.</summary>
    public required string Version { get; init; }

    public string Description { get; init; } = "";

    /// <summary>The folder that holds architecture.yaml, absolute; never part of a lock.</summary>
    public required string Directory { get; init; }

    /// <summary>In order of declaration, which is the order of setup.</summary>
    public required IReadOnlyList<ComponentPlan> Components { get; init; }

    public required IReadOnlyList<BindingPlan> Bindings { get; init; }

    /// <summary>Schemas by id.</summary>
    public IReadOnlyDictionary<string, SchemaPlan> Schemas { get; init; } = new Dictionary<string, SchemaPlan>();

    public PolicyPlan Policy { get; init; } = new();

    /// <summary>Variables the deployment sets for the system's own processes; secrets are resolved, so never print them.</summary>
    public IReadOnlyDictionary<string, string> Environment { get; init; } = new Dictionary<string, string>();

    /// <summary>Those of them that came from a secret, and secrets of webhooks: values that appear nowhere.</summary>
    public IReadOnlyDictionary<string, string> Secrets { get; init; } = new Dictionary<string, string>();

    /// <summary><c>state</c> of the deployment; null where it says nothing and the settings hold.</summary>
    public StatePlan State { get; init; } = new();
}

/// <summary>A JSON Schema with its version.</summary>
internal sealed record SchemaPlan(string Id, string Version, JsonElement Schema, string? File);

/// <summary>One component.</summary>
internal sealed record ComponentPlan
{
    public required string Name { get; init; }

    public required ComponentType Type { get; init; }

    public required UsesPlan Uses { get; init; }

    /// <summary>What it is made from; for a command too, where the ports come from the YAML.</summary>
    public required ComponentDescriptor Descriptor { get; init; }

    /// <summary>Its config bound to <see cref="ComponentDescriptor.Options"/>; null where there are no options.</summary>
    public object? Options { get; init; }

    /// <summary>Its config as JSON, for the lock, for people and for commands; secrets masked.</summary>
    public JsonElement Config { get; init; }

    /// <summary>Its ports after refinement by the YAML.</summary>
    public required IReadOnlyList<PortPlan> Ports { get; init; }

    /// <summary>In order of execution: ascending tier, ties by name. A run takes this order from the lock.</summary>
    public IReadOnlyList<CapabilityPlan> Capabilities { get; init; } = [];

    public ProcessingMode Mode { get; init; }

    /// <summary>Set where events are batched.</summary>
    public BatchingPlan? Batching { get; init; }

    /// <summary>Items in work at once; 1 by default.</summary>
    public int Concurrency { get; init; } = 1;

    public ItemOrder Ordering { get; init; }

    public RestartPlan Restart { get; init; } = new();

    /// <summary>An adapter or interval of its own; null where the system's hold.</summary>
    public StatePlan State { get; init; } = new();

    /// <summary>Runs on a thread of its own instead of the pool.</summary>
    public bool Dedicated { get; init; }

    /// <summary>Whether its events are acknowledged, always or as its config says.</summary>
    public bool Acknowledges => Descriptor.Acknowledges || Options is IAcknowledges { Acknowledges: true };
}

/// <summary>What a component is made of: exactly one of a built-in, a class or a command.</summary>
internal sealed record UsesPlan
{
    public string? BuiltIn { get; init; }

    public string? Class { get; init; }

    /// <summary>Path of the project or assembly that holds the class, relative to the system's folder.</summary>
    public string? Project { get; init; }

    public string? Assembly { get; init; }

    public CommandPlan? Command { get; init; }
}

/// <summary>A component in another language: NDJSON on its standard streams.</summary>
internal sealed record CommandPlan(IReadOnlyList<string> Command, string? Cwd, IReadOnlyDictionary<string, string> Env, IReadOnlyList<string> Files, int Replicas);

/// <summary>What flows through a port.</summary>
internal enum SemanticClass
{
    DataIn,
    DataOut,
    ControlIn,
    ControlOut,
    MetricsIn,
    MetricsOut,
    ErrorIn,
    ErrorOut,
}

internal enum FlowType
{
    Push,
    Pull,
    RequestResponse,
}

internal enum Distribution
{
    Broadcast,
    PartitionHash,
    Conditional,
    Weighted,
}

internal enum FanIn
{
    Merge,
    Priority,
    FirstWins,
    Concatenate,
}

/// <summary>One port with its rules.</summary>
internal sealed record PortPlan
{
    public required string Name { get; init; }

    public required SemanticClass Class { get; init; }

    /// <summary>CLR payload; JsonElement for built-ins and commands.</summary>
    public required Type Data { get; init; }

    public bool Required { get; init; }

    public FlowType Flow { get; init; }

    public string? SchemaId { get; init; }

    public string? SchemaVersion { get; init; }

    public Distribution Distribution { get; init; }

    /// <summary>Expression of <c>distribution.key</c>.</summary>
    public string? DistributionKey { get; init; }

    /// <summary><c>distribution.match: all</c>.</summary>
    public bool MatchAll { get; init; }

    public FanIn FanIn { get; init; }

    public bool IsInput => Class is SemanticClass.DataIn or SemanticClass.ControlIn or SemanticClass.MetricsIn or SemanticClass.ErrorIn;
}

internal enum OverflowRule
{
    Block,
    Spill,
    DropOldest,
    DropNewest,
    Fail,
}

/// <summary>One output port joined to one input port. A binding with several targets in the YAML is one plan for each target.</summary>
internal sealed record BindingPlan
{
    /// <summary><c>name</c>, or <c>from->to</c>; with several targets each has its own <c>from->to</c>.</summary>
    public required string Name { get; init; }

    public required string FromComponent { get; init; }

    public required string FromPort { get; init; }

    public required string ToComponent { get; init; }

    public required string ToPort { get; init; }

    /// <summary>Events held, at least 1; 1,000 by default.</summary>
    public int Buffer { get; init; } = 1000;

    /// <summary>Bytes held of payloads of known size; 64 MiB by default.</summary>
    public long BufferBytes { get; init; } = 64 << 20;

    public OverflowRule Overflow { get; init; }

    /// <summary>Bytes on disk under <c>spill</c>; 1 GiB by default.</summary>
    public long SpillBytes { get; init; } = 1L << 30;

    /// <summary>Expression of <c>condition</c>, or <c>default</c>.</summary>
    public string? Condition { get; init; }

    public int Weight { get; init; } = 1;

    public int Priority { get; init; }

    /// <summary>Expression that makes the payload of this binding.</summary>
    public string? Transformation { get; init; }

    public bool Copy { get; init; }

    /// <summary>Closes a cycle; then <see cref="MaxInFlight"/> bounds it.</summary>
    public bool Feedback { get; init; }

    public int? MaxInFlight { get; init; }

    /// <summary><c>qos.ttl_ms</c>.</summary>
    public TimeSpan? TimeToLive { get; init; }

    /// <summary>For request_response; 30 s by default.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>A link of a component's chain.</summary>
/// <param name="Name">As in section 8: <c>Retry</c>, or the name of one's own.</param>
/// <param name="Tier">Lower is further out.</param>
/// <param name="Kernel">Cannot be switched off.</param>
/// <param name="Config">Its settings with defaults filled in, as JSON.</param>
internal sealed record CapabilityPlan(string Name, int Tier, bool Kernel, JsonElement Config)
{
    /// <summary>Whether the user asked for it; kernel tiers are there unasked and may then cost nothing.</summary>
    public bool Declared { get; init; }

    /// <summary>Its settings bound to their record, such as <see cref="Chains.RetrySettings"/>; null where it takes none.</summary>
    public object? Options { get; init; }

    /// <summary>The class of one's own capability; null for the ones of section 8.</summary>
    public Type? Class { get; init; }

    /// <summary>Class and home of one's own capability; null for the ones of section 8.</summary>
    public UsesPlan? Uses { get; init; }
}

internal enum ProcessingMode
{
    Stream,
    Batch,
    Hybrid,
}

internal enum ItemOrder
{
    Strict,
    Key,
    Relaxed,
}

internal enum BatchErrorMode
{
    PerItem,
    FailFast,
}

/// <summary>How batches are made; ADR-024.</summary>
internal sealed record BatchingPlan
{
    /// <summary>1 to 1,000,000; 64 by default.</summary>
    public int MaxItems { get; init; } = 64;

    /// <summary>From the first event of a batch; 5 ms by default.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary>For <c>hybrid</c>.</summary>
    public int MinItems { get; init; } = 1;

    public BatchErrorMode ErrorMode { get; init; }

    public bool Relaxed { get; init; }

    /// <summary>Closed batches that may wait; 2 by default.</summary>
    public int FormingBufferLimit { get; init; } = 2;
}

internal enum OnExhausted
{
    FailSystem,
    Isolate,
}

/// <summary>What happens when a component's process phase throws.</summary>
internal sealed record RestartPlan
{
    public int Attempts { get; init; } = 3;

    public TimeSpan Within { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Doubles to 10 s.</summary>
    public TimeSpan Backoff { get; init; } = TimeSpan.FromSeconds(1);

    public OnExhausted OnExhausted { get; init; }
}

internal enum Delivery
{
    Unset,
    AtMostOnce,
    AtLeastOnce,
    EffectivelyOnce,
}

/// <summary><c>policy</c> of the architecture, tightened by the deployment.</summary>
internal sealed record PolicyPlan
{
    public Delivery Delivery { get; init; }

    // Null: the setting of the same name holds.
    public TimeSpan? SetupTimeout { get; init; }

    public TimeSpan? DrainTimeout { get; init; }

    public TimeSpan? CancelTimeout { get; init; }

    public TimeSpan? CleanupTimeout { get; init; }

    public int? MaxMemoryMb { get; init; }

    public long MaxItemBytes { get; init; } = 4 << 20;

    public bool AllowExec { get; init; } = true;

    /// <summary>Hosts <c>http_*</c> may speak to.</summary>
    public IReadOnlyList<string> AllowHosts { get; init; } = [];

    /// <summary>Folders that may be written, relative to the system's; the system's folder and its state folder where empty.</summary>
    public IReadOnlyList<string> WritePaths { get; init; } = [];

    public bool LockDeployment { get; init; }

    public IReadOnlyList<AlertPlan> Alerts { get; init; } = [];

    public IReadOnlyList<WebhookPlan> Webhooks { get; init; } = [];

    /// <summary>One event in this many is traced; 1,000 by default.</summary>
    public int TraceSample { get; init; } = 1000;
}

/// <summary>An alert of one's own, or a change of the built-in one of the same name; null members leave what the built-in one has.</summary>
internal sealed record AlertPlan(string Name, string? Expression, TimeSpan? For, AlertSeverity? Severity, string? Webhook)
{
    /// <summary>How long its condition must not hold until it is over; null: 30 s, or what the built-in one has.</summary>
    public TimeSpan? KeepFiringFor { get; init; }

    /// <summary>False: it never fires.</summary>
    public bool Enabled { get; init; } = true;
}

/// <summary>Where alerts go; the secret signs the body.</summary>
internal sealed record WebhookPlan(string Name, Uri Url, string? Secret);

/// <summary>Settings of state; null members leave the choice to the system or the settings.</summary>
internal sealed record StatePlan
{
    public string? Adapter { get; init; }

    public TimeSpan? CheckpointInterval { get; init; }

    public long? CheckpointIntervalItems { get; init; }

    public bool? Required { get; init; }

    public string? RedisUrl { get; init; }

    public int? Keep { get; init; }

    public TimeSpan? TimeToLive { get; init; }
}
