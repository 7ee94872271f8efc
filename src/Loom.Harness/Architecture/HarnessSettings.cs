using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Harness.Architecture;

/// <summary>The settings the harness reads.</summary>
public static class HarnessSettings
{
    internal static readonly Setting<HostPort> Bind = Setting.Address("harness.bind", "Health and metrics address of loom harness run.", "127.0.0.1:9000");

    internal static readonly Setting<TimeSpan> SetupTimeout = Setting.Duration("harness.setup_timeout", "Time a component's setup() may take.", "30", min: "0.1", max: "3600");

    internal static readonly Setting<TimeSpan> DrainTimeout = Setting.Duration("harness.drain_timeout", "Time streams get to empty on a stop; what is left is cancelled.", "30",
        min: "0", max: "3600");

    internal static readonly Setting<TimeSpan> CancelTimeout = Setting.Duration("harness.cancel_timeout", "Time a cancelled component gets.", "5", min: "0", max: "3600");

    internal static readonly Setting<TimeSpan> CleanupTimeout = Setting.Duration("harness.cleanup_timeout", "Time a component's cleanup() may take.", "10", min: "0.1", max: "3600");

    /// <summary>Table before the star of the systems; an array of tables, so that their names are positions.</summary>
    internal const string Systems = "harness.systems";

    internal static readonly Setting<string> SystemPath = Setting.Path("harness.systems.*.path", "Folder of a system loom up runs; an array of tables, * = position.", "required");

    internal static readonly Setting<string> SystemDeployment = Setting.Path("harness.systems.*.deployment", "Its deployment file.", "deployment.yaml");

    internal static readonly Setting<bool> SystemAutostart = Setting.Bool("harness.systems.*.autostart", "Start it with loom up.", "true");

    internal static readonly Setting<long> BufferSize = Setting.Int("streams.buffer_size", "Items a stream holds unless its binding says otherwise.", "1000", min: "1",
        max: "10000000", unit: "items", source: "seeds/002");

    internal static readonly Setting<long> MaxItems = Setting.Int("batching.max_items", "Items that complete a batch.", "64", min: "1", max: "1000000", unit: "items", source: "seeds/002");

    internal static readonly Setting<long> MaxMs = Setting.Int("batching.max_ms", "Age of the first item that completes a batch.", "5", min: "1", max: "3600000", unit: "ms",
        source: "seeds/002");

    internal static readonly Setting<BatchErrorMode> ErrorMode = Setting.Enum<BatchErrorMode>("batching.error_mode", "Whether one bad item fails its batch or itself alone.",
        [("fail_fast", BatchErrorMode.FailFast), ("per_item", BatchErrorMode.PerItem)], "per_item", source: "seeds/002");

    internal static readonly Setting<StateAdapterKind> Adapter = Setting.Enum<StateAdapterKind>("state.adapter",
        "Where component state is kept; unset = redis_snapshot when a Redis is configured, else sqlite_snapshot.",
        [
            ("redis_snapshot", StateAdapterKind.RedisSnapshot), ("inmem_ephemeral", StateAdapterKind.InmemEphemeral), ("sqlite_snapshot", StateAdapterKind.SqliteSnapshot),
        ],
        source: "seeds/002");

    internal static readonly Setting<long> CheckpointInterval = Setting.Int("state.checkpoint_interval_s", "Pause between automatic checkpoints.", "60", min: "1", max: "86400",
        unit: "s", source: "seeds/002");

    internal static readonly Setting<bool> StateRequired = Setting.Bool("state.required", "Refuse to start without the state store, instead of falling back to memory.", "false");

    internal static readonly Setting<Secret> RedisUrl = Setting.SecretUrl("state.redis_url",
        "Redis of redis_snapshot; that adapter named without any URL uses redis://127.0.0.1:6379/0.", "redis;rediss", "{redis.url}");

    internal static readonly Setting<TimeSpan> StateTtl = Setting.Duration("state.ttl", "Time-to-live of a checkpoint; unset = none.", min: "1", max: "315360000");

    internal static readonly Setting<long> StateKeep = Setting.Int("state.keep", "Checkpoints kept.", "10", min: "1", max: "10000");

    /// <summary>All of them.</summary>
    public static ImmutableArray<Setting> All { get; } =
    [
        Bind, SetupTimeout, DrainTimeout, CancelTimeout, CleanupTimeout, SystemPath, SystemDeployment, SystemAutostart, BufferSize, MaxItems, MaxMs, ErrorMode, Adapter, CheckpointInterval, StateRequired, RedisUrl, StateTtl, StateKeep,
    ];
}

/// <summary>Values of <c>state.adapter</c>.</summary>
internal enum StateAdapterKind
{
    RedisSnapshot,
    InmemEphemeral,
    SqliteSnapshot,
}
