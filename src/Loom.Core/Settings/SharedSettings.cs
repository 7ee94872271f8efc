using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>Settings that more than one system reads.</summary>
public static class SharedSettings
{
    public static readonly Setting<string> Name = Setting.String("name", "Project name; unset = name of the project folder.", max: "64", variables: []);

    public static readonly Setting<string> Version = Setting.String("version", "Version of the user's project.", "0.1.0", max: "64", variables: []);

    public static readonly Setting<string> Description = Setting.String("description", "One line about the project.", max: "500", variables: []);

    public static readonly Setting<string> ProjectDir = Setting.Path("project.dir",
        "Project folder; unset = nearest folder upwards with a loom.toml. Not in loom.toml.", ".", variables: ["LOOM_PROJECT"], source: "seeds/003");

    public static readonly Setting<Secret> Token = Setting.Hidden("auth.token", "Bearer token between parts and for clients; the same on every machine.",
        cloud: "required", min: "1", max: "4096", allowed: "visible ASCII without spaces", variables: ["LLORCH_API_TOKEN"], source: "seeds/001");

    public static readonly Setting<string> TokenFile = Setting.Path("auth.token_file",
        "File whose first line is the token, for mounted secrets; not together with auth.token.", variables: ["LLORCH_API_TOKEN_FILE"]);

    public static readonly Setting<long> MetricsPort = Setting.Int("telemetry.metrics_port",
        "Prometheus port; 9091 in loom pool-managerd, 0 = off; host as the part's bind address.", "9090", min: "0", max: "65535", unit: "port",
        variables: ["PROMETHEUS_METRICS_PORT"], source: "seeds/001");

    public static readonly Setting<Uri> OtlpEndpoint = Setting.Url("telemetry.otlp_endpoint", "OTLP collector for traces, metrics and logs; unset = no export.",
        variables: ["OTEL_EXPORTER_OTLP_ENDPOINT"], source: "seeds/001");

    public static readonly Setting<LogDirective> Log = Setting.Grammar("telemetry.log", "Log level, then optional target=level pairs; LOOM_LOG wins over the legacy alias RUST_LOG.",
        "trace;debug;info;warn;error;off", LogDirective.TryParse, v => v.Text, "info", unit: "log directive", variables: ["LOOM_LOG", "RUST_LOG"], source: "seeds/001",
        firstVariableWins: true);

    public static readonly Setting<ImmutableArray<string>> EnvFile = Setting.List("runtime.env_file",
        "Env files read in order, later ones win; a listed file must exist (.env need not).", ".env", unit: "path");

    public static readonly Setting<string> DataRoot = Setting.Path("paths.data_root",
        "Wall for large files: caches and temp files go below it, guarded writes elsewhere are refused.", "/mnt/raid0?|.loom/data",
        variables: ["ORCHESTRATOR_PATHS__DATA_ROOT", "LOOM_DATA_ROOT"]);

    public static readonly Setting<string> ModelsDir = Setting.Path("paths.models_dir", "Folder scanned for GGUF models.", "{paths.data_root}/llm/models", source: "seeds/000");

    public static readonly Setting<string> CacheDir = Setting.Path("paths.cache_dir", "Folder of model and package caches.", "{paths.data_root}/llm/cache", source: "seeds/000");

    public static readonly Setting<string> TmpDir = Setting.Path("paths.tmp_dir", "Folder of temporary files, spilled REPL output among them.",
        "{paths.data_root}/llm/tmp", source: "seeds/000");

    public static readonly Setting<TimeSpan> GraceEngines = Setting.Duration("supervisor.grace.engines", "Time between TERM and KILL for engines.", "5", min: "0", max: "3600");

    public static readonly Setting<TimeSpan> GraceAgents = Setting.Duration("supervisor.grace.agents", "Time between TERM and KILL for agents.", "1", min: "0", max: "3600");

    public static readonly Setting<long> DrainDeadline = Setting.Int("serving.drain_deadline_ms", "Default for drain, reload and shutdown.", "30000", min: "0",
        max: "3600000", unit: "ms");

    /// <summary>Redis of all systems that use one.</summary>
    public static readonly Setting<Secret> RedisUrl = Setting.SecretUrl("redis.url", "Redis shared by all systems; unset = none.", "redis;rediss", variables: ["LOOM_REDIS_URL"]);

    /// <summary>Every row of this room.</summary>
    public static ImmutableArray<Setting> All { get; } =
    [
        Name, Version, Description, ProjectDir, Token, TokenFile, OtlpEndpoint, MetricsPort, Log, EnvFile, DataRoot, ModelsDir, CacheDir, TmpDir, GraceAgents, GraceEngines, DrainDeadline, RedisUrl,
        .. ProviderSettings.All,
    ];
}
