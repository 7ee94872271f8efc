using System.Globalization;
using Loom.Cli.Composition;
using Loom.Control;
using Loom.Core.Settings;
using Loom.Node;
using Loom.Node.Link;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

/// <summary>
/// Each setting of the configuration reference (seeds/001) arrives at the part that acts by it. That the part then acts otherwise is held elsewhere:
/// <list type="table">
/// <item><term>ORCHESTRATORD_CLOUD_PROFILE, LLORCH_API_TOKEN, ORCHESTRATORD_URL, POOL_MANAGERD_NODE_ID, ORCHESTRATORD_NODE_TIMEOUT_MS, ORCHESTRATORD_STALE_CHECK_INTERVAL_SECS,
/// POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS</term><description>system, Nodes/ClusterTests: registration, silence, tokens; fast, Nodes/LinkTests and NodeRegistryTests: the pace</description></item>
/// <item><term>ORCHESTRATORD_BIND_ADDR, ORCHD_ADDR, POOL_MANAGERD_BIND_ADDR, PROMETHEUS_METRICS_PORT</term><description>system, Nodes/SeedExampleTests and FailureTableTests, Gateway/ApiTests</description></item>
/// <item><term>ORCHD_ADMISSION_CAPACITY, ORCHD_ADMISSION_POLICY, ORCHESTRATORD_PLACEMENT_STRATEGY</term><description>system, Gateway/AdmissionTests; fast, Control/DecisionTests</description></item>
/// <item><term>…_RUNTIME_DIR, …_WATCH_INTERVAL_MS, …_AUTO_DELETE_HANDOFF, ENGINE_PROVISIONER_HANDOFF_DIR</term><description>system, Handoff/HandoffTests; fast, Handoff/HandoffWatcherTests</description></item>
/// <item><term>POOL_MANAGERD_GPU_DISCOVERY_INTERVAL_MS, ENGINE_PROVISIONER_GPU_MASK</term><description>system, Gpus/GpuDiscoveryTests, Nodes/SeedExampleTests</description></item>
/// <item><term>ENGINE_PROVISIONER_CACHE_DIR</term><description>system, Node/ProvisioningTests</description></item>
/// <item><term>OTEL_EXPORTER_OTLP_ENDPOINT</term><description>system, Telemetry/OtlpTests</description></item>
/// <item><term>RUST_LOG</term><description>fast, Cli/LoomLoggingTests</description></item>
/// </list>
/// </summary>
public sealed class SeedSettingTests
{
    private const string Token = "0123456789abcdef0123456789abcdef";

    private static readonly (string Name, string Value)[] s_cloud =
        [("ORCHESTRATORD_CLOUD_PROFILE", "true"), ("LLORCH_API_TOKEN", Token), ("POOL_MANAGERD_NODE_ID", "gpu-node-1"), ("ORCHESTRATORD_URL", "http://127.0.0.1:8080")];

    [Theory]
    [InlineData(LoomPart.QueenRbee, "ORCHESTRATORD_CLOUD_PROFILE", "false", "false", "true", "true")]
    [InlineData(LoomPart.QueenRbee, "ORCHESTRATORD_BIND_ADDR", null, "127.0.0.1:8080", "127.0.0.1:8099", "127.0.0.1:8099")]
    [InlineData(LoomPart.QueenRbee, "ORCHD_ADDR", null, "127.0.0.1:8080", "127.0.0.1:8098", "127.0.0.1:8098")]
    [InlineData(LoomPart.QueenRbee, "LLORCH_API_TOKEN", null, "", Token, Token)]
    [InlineData(LoomPart.QueenRbee, "ORCHESTRATORD_NODE_TIMEOUT_MS", null, "30000", "5000", "5000")]
    [InlineData(LoomPart.QueenRbee, "ORCHESTRATORD_STALE_CHECK_INTERVAL_SECS", null, "10", "1", "1")]
    [InlineData(LoomPart.Up, "ORCHD_RUNTIME_DIR", null, "/project/.runtime/engines", "/var/lib/llama-orch/engines", "/var/lib/llama-orch/engines")]
    [InlineData(LoomPart.Up, "ORCHD_HANDOFF_WATCH_INTERVAL_MS", null, "1000", "100", "100")]
    [InlineData(LoomPart.QueenRbee, "ORCHESTRATORD_PLACEMENT_STRATEGY", null, "RoundRobin", "least-loaded", "LeastLoaded")]
    [InlineData(LoomPart.QueenRbee, "ORCHESTRATORD_PLACEMENT_STRATEGY", null, "RoundRobin", "random", "Random")]
    [InlineData(LoomPart.QueenRbee, "ORCHD_ADMISSION_CAPACITY", null, "100", "500", "500")]
    [InlineData(LoomPart.QueenRbee, "ORCHD_ADMISSION_POLICY", null, "drop-lru", "reject-new", "reject-new")]
    [InlineData(LoomPart.QueenRbee, "OTEL_EXPORTER_OTLP_ENDPOINT", null, "", "http://tempo:4317", "http://tempo:4317/")]
    [InlineData(LoomPart.QueenRbee, "PROMETHEUS_METRICS_PORT", null, "9090", "9095", "9095")]
    [InlineData(LoomPart.QueenRbee, "RUST_LOG", null, "Information", "info,queen-rbee=debug", "Debug")]
    [InlineData(LoomPart.PoolManagerd, "POOL_MANAGERD_BIND_ADDR", "127.0.0.1:9200", "127.0.0.1:9200", "127.0.0.1:9299", "127.0.0.1:9299")]
    [InlineData(LoomPart.PoolManagerd, "POOL_MANAGERD_NODE_ID", "gpu-node-1", "gpu-node-1", "gpu-node-2", "gpu-node-2")]
    [InlineData(LoomPart.PoolManagerd, "ORCHESTRATORD_URL", "http://127.0.0.1:8080", "http://127.0.0.1:8080/", "http://queen-rbee:8080", "http://queen-rbee:8080/")]
    [InlineData(LoomPart.PoolManagerd, "POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS", null, "10", "3", "3")]
    [InlineData(LoomPart.PoolManagerd, "POOL_MANAGERD_RUNTIME_DIR", null, "/project/.runtime/engines", "/var/lib/llama-orch/engines", "/var/lib/llama-orch/engines")]
    [InlineData(LoomPart.PoolManagerd, "POOL_MANAGERD_WATCH_INTERVAL_MS", null, "1000", "10000", "10000")]
    [InlineData(LoomPart.PoolManagerd, "POOL_MANAGERD_AUTO_DELETE_HANDOFF", null, "true", "false", "false")]
    [InlineData(LoomPart.PoolManagerd, "POOL_MANAGERD_GPU_DISCOVERY_INTERVAL_MS", null, "10000", "1000", "1000")]
    [InlineData(LoomPart.PoolManagerd, "PROMETHEUS_METRICS_PORT", null, "9091", "9095", "9095")]
    [InlineData(LoomPart.EngineProvisioner, "ENGINE_PROVISIONER_HANDOFF_DIR", null, "/project/.runtime/engines", "/var/lib/llama-orch/engines", "/var/lib/llama-orch/engines")]
    [InlineData(LoomPart.EngineProvisioner, "ENGINE_PROVISIONER_CACHE_DIR", null, "/home/user/.cache/llama-orch", "/var/cache/llama-orch", "/var/cache/llama-orch")]
    [InlineData(LoomPart.EngineProvisioner, "ENGINE_PROVISIONER_GPU_MASK", null, "0", "0,1", "0,1")]
    public void Setting_Given_IsWhatItsPartActsBy(LoomPart part, string variable, string? usual, string before, string given, string after)
    {
        Seen(part, variable, usual).ShouldBe(before);
        Seen(part, variable, given).ShouldBe(after);
    }

    private static string Seen(LoomPart part, string variable, string? value)
    {
        var load = new TestLoad(LoomRegistry.Instance).For(part);
        var alone = variable is "ORCHESTRATORD_BIND_ADDR" or "ORCHD_ADDR" or "LLORCH_API_TOKEN" || part == LoomPart.Up;
        foreach (var (name, text) in alone ? [] : s_cloud)
        {
            load.Variable(name, text);
        }

        if (!alone)
        {
            load.Variable(part == LoomPart.QueenRbee ? "ORCHESTRATORD_BIND_ADDR" : "POOL_MANAGERD_BIND_ADDR", part == LoomPart.QueenRbee ? "127.0.0.1:8080" : "127.0.0.1:9200");
        }

        if (value is not null)
        {
            load.Variable(variable, value);
        }

        var result = SettingsLoader.Load(load.Request() with { CrossRules = LoomRegistry.CrossRules });
        result.Faults.Where(f => f.Severity == FaultSeverity.Error).ShouldBeEmpty();
        return Seen(part, variable, result.Snapshot);
    }

    private static string Seen(LoomPart part, string variable, SettingsSnapshot settings)
    {
        var node = new Lazy<NodeOptions>(() => NodeOptions.From(settings, new NodeSurroundings("/loom", "/logs", null, settings.Environment)));
        object? seen = variable switch
        {
            "ORCHESTRATORD_CLOUD_PROFILE" => ControlOptions.From(settings).Nodes.Registers ? "true" : "false",
            "ORCHESTRATORD_BIND_ADDR" or "ORCHD_ADDR" => ControlOptions.From(settings).Api.Bind,
            "LLORCH_API_TOKEN" => ControlOptions.From(settings).Api.Token,
            "ORCHESTRATORD_NODE_TIMEOUT_MS" => ControlOptions.From(settings).Nodes.Timeout.TotalMilliseconds,
            "ORCHESTRATORD_STALE_CHECK_INTERVAL_SECS" => ControlOptions.From(settings).Nodes.CheckInterval.TotalSeconds,
            "ORCHD_RUNTIME_DIR" or "POOL_MANAGERD_RUNTIME_DIR" => node.Value.Handoff.Folder,
            "ORCHD_HANDOFF_WATCH_INTERVAL_MS" or "POOL_MANAGERD_WATCH_INTERVAL_MS" => node.Value.Handoff.Interval.TotalMilliseconds,
            "ORCHESTRATORD_PLACEMENT_STRATEGY" => ControlOptions.From(settings).Admission.Strategy,
            "ORCHD_ADMISSION_CAPACITY" => ControlOptions.From(settings).Admission.Capacity,
            "ORCHD_ADMISSION_POLICY" => ControlOptions.From(settings).Admission.PolicyName,
            "OTEL_EXPORTER_OTLP_ENDPOINT" => settings.GetOrNull(SharedSettings.OtlpEndpoint),
            "PROMETHEUS_METRICS_PORT" => part == LoomPart.PoolManagerd ? LinkOptions.From(settings).MetricsPort : ControlOptions.From(settings).Api.MetricsPort,
            "RUST_LOG" => settings.Get(SharedSettings.Log).LevelOf("queen-rbee"),
            "POOL_MANAGERD_BIND_ADDR" => LinkOptions.From(settings).Bind,
            "POOL_MANAGERD_NODE_ID" => LinkOptions.From(settings).NodeId,
            "ORCHESTRATORD_URL" => string.Join(',', LinkOptions.From(settings).ControlPlanes),
            "POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS" => LinkOptions.From(settings).Heartbeat.TotalSeconds,
            "POOL_MANAGERD_AUTO_DELETE_HANDOFF" => node.Value.Handoff.AutoDelete ? "true" : "false",
            "POOL_MANAGERD_GPU_DISCOVERY_INTERVAL_MS" => node.Value.Gpus.Interval.TotalMilliseconds,
            "ENGINE_PROVISIONER_HANDOFF_DIR" => node.Value.Handoff.WriteFolder,
            "ENGINE_PROVISIONER_CACHE_DIR" => node.Value.CacheDir,
            "ENGINE_PROVISIONER_GPU_MASK" => string.Join(',', node.Value.Gpus.Mask),
            _ => throw new ArgumentException($"no observation of {variable}", nameof(variable)),
        };
        return Convert.ToString(seen, CultureInfo.InvariantCulture) ?? "";
    }
}
