using System.Collections.Immutable;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Core.Settings;

namespace Loom.Control;

/// <summary>The settings the control plane reads.</summary>
public static class ControlSettings
{
    public static readonly Setting<HostPort> Bind = Setting.Address("serving.bind", "Address of the API.", "127.0.0.1:8080", cloud: "0.0.0.0:8080",
        variables: ["ORCHESTRATORD_BIND_ADDR", "ORCHD_ADDR"], source: "seeds/001");

    public static readonly Setting<bool> CloudProfile = Setting.Bool("serving.cloud_profile",
        "Chooses the CLOUD profile; loom pool-managerd is also in CLOUD when ORCHESTRATORD_URL is set.", "false", variables: ["ORCHESTRATORD_CLOUD_PROFILE"],
        source: "seeds/001");

    public static readonly Setting<long> NodeTimeout = Setting.Int("serving.node_timeout_ms", "A node without heartbeat for this long goes Offline.", "30000", min: "5000",
        max: "300000", unit: "ms", variables: ["ORCHESTRATORD_NODE_TIMEOUT_MS"], source: "seeds/001");

    public static readonly Setting<long> StaleCheck = Setting.Int("serving.stale_check_interval_secs", "Pause between two searches for stale nodes.", "10", min: "1",
        max: "60", unit: "s", variables: ["ORCHESTRATORD_STALE_CHECK_INTERVAL_SECS"], source: "seeds/001");

    public static readonly Setting<long> NodeForget = Setting.Int("serving.node_forget_secs", "An Offline node is removed after this.", "86400", min: "60", max: "2592000",
        unit: "s");

    public static readonly Setting<string> KeySha256 = Setting.String("auth.keys.*.sha256", "SHA-256 of a client key.", "required", min: "64", max: "64");

    public static readonly Setting<ImmutableArray<string>> KeyScopes = Setting.Set("auth.keys.*.scopes", "What that key may do.", "inference",
        allowed: "inference;manage;metrics;node");

    public static readonly Setting<PlacementKind> Strategy = Setting.Enum<PlacementKind>("serving.placement.strategy", "How a pool is chosen among nodes; prefix-affinity is ours.",
        [
            ("round-robin", PlacementKind.RoundRobin), ("least-loaded", PlacementKind.LeastLoaded), ("random", PlacementKind.Random),
            ("prefix-affinity", PlacementKind.PrefixAffinity),
        ],
        "round-robin", variables: ["ORCHESTRATORD_PLACEMENT_STRATEGY"], source: "seeds/001");

    public static readonly Setting<long> Capacity = Setting.Int("serving.admission.capacity", "Waiting tasks the admission queue holds, both classes together.", "100",
        min: "1", max: "10000", unit: "tasks", variables: ["ORCHD_ADMISSION_CAPACITY"], source: "seeds/001");

    public static readonly Setting<OverflowPolicy> Policy = Setting.Enum<OverflowPolicy>("serving.admission.policy", "What happens to a task that meets a full queue.",
        [("drop-lru", OverflowPolicy.DropLru), ("reject-new", OverflowPolicy.RejectNew)], "drop-lru", variables: ["ORCHD_ADMISSION_POLICY"], source: "seeds/001");

    public static readonly Setting<ImmutableArray<string>> AllowedHosts = Setting.List("serving.allowed_hosts", "Host headers accepted on a loopback bind.",
        "localhost,127.0.0.1,::1");

    public static readonly Setting<ImmutableArray<Uri>> AllowedOrigins = Setting.UrlList("serving.allowed_origins", "Further browser origins.");

    public static readonly Setting<long> MaxBodyBytes = Setting.Int("serving.max_body_bytes", "Largest request body.", "33554432", min: "1024", max: "1073741824",
        unit: "bytes");

    public static readonly Setting<long> QueueTimeout = Setting.Int("serving.queue_timeout_ms", "Longest wait of a task without its own deadline.", "300000",
        min: "100", max: "3600000", unit: "ms");

    public static readonly Setting<long> FirstTokenTimeout = Setting.Int("serving.first_token_timeout_ms", "Engine silence allowed before the first token.", "300000",
        min: "100", max: "3600000", unit: "ms");

    public static readonly Setting<long> StreamIdleTimeout = Setting.Int("serving.stream_idle_timeout_ms", "Engine silence allowed after the first token.", "120000",
        min: "100", max: "3600000", unit: "ms");

    public static readonly Setting<long> ClientStallTimeout = Setting.Int("serving.client_stall_timeout_ms", "A client that accepts no byte for this long is cancelled.",
        "60000", min: "1000", max: "600000", unit: "ms");

    public static readonly Setting<long> SseKeepAlive = Setting.Int("serving.sse_keepalive_ms", "Interval of SSE comments.", "15000", min: "1000", max: "60000", unit: "ms");

    public static readonly Setting<long> SseEarlyHeaders = Setting.Int("serving.sse_early_headers_ms", "A waiting stream gets its headers after this.", "10000",
        min: "0", max: "60000", unit: "ms");

    public static readonly Setting<long> DispatchAttempts = Setting.Int("serving.dispatch_attempts", "Total attempts, each on another replica.", "2", min: "1", max: "5");

    public static readonly Setting<long> BatchMaxWait = Setting.Int("serving.admission.batch_max_wait_secs",
        "A batch task older than this competes as interactive; 0 = never.", "300", min: "0", max: "86400", unit: "s", variables: ["ORCHD_BATCH_MAX_WAIT_SECS"]);

    public static readonly Setting<bool> TasksDurable = Setting.Bool("serving.tasks_durable", "Answer 202 only once the journal record is on disk.", "true");

    public static readonly Setting<long> TasksRetention = Setting.Int("serving.tasks_retention_secs", "Events of a task kept after its end.", "600", min: "0",
        max: "86400", unit: "s");

    /// <summary>Every row of this room.</summary>
    public static ImmutableArray<Setting> All { get; } =
    [
        Bind, CloudProfile, NodeTimeout, StaleCheck, NodeForget, KeySha256, KeyScopes, Strategy, Capacity, Policy, AllowedHosts, AllowedOrigins, MaxBodyBytes,
        QueueTimeout, FirstTokenTimeout, StreamIdleTimeout, ClientStallTimeout, SseKeepAlive, SseEarlyHeaders, DispatchAttempts, BatchMaxWait, TasksDurable, TasksRetention,
    ];
}
