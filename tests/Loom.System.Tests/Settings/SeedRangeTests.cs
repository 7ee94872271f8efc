using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Settings;

/// <summary>Values outside the ranges of the configuration reference (seeds/001): one fault each, in the shape of all faults of configuration (a line with key,
/// variable and value, the range below it), exit 2, nothing started.</summary>
public sealed class SeedRangeTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public SeedRangeTests() => File.WriteAllText(_folder["loom.toml"], "");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("queen-rbee", "serving.node_timeout_ms", "ORCHESTRATORD_NODE_TIMEOUT_MS", "4999", "5000", "300000")]
    [InlineData("queen-rbee", "serving.node_timeout_ms", "ORCHESTRATORD_NODE_TIMEOUT_MS", "300001", "5000", "300000")]
    [InlineData("queen-rbee", "serving.stale_check_interval_secs", "ORCHESTRATORD_STALE_CHECK_INTERVAL_SECS", "61", "1", "60")]
    [InlineData("up", "serving.handoff_watch_interval_ms", "ORCHD_HANDOFF_WATCH_INTERVAL_MS", "99", "100", "10000")]
    [InlineData("queen-rbee", "serving.admission.capacity", "ORCHD_ADMISSION_CAPACITY", "10001", "1", "10000")]
    [InlineData("queen-rbee", "serving.admission.policy", "ORCHD_ADMISSION_POLICY", "drop-all", "drop-lru", "reject-new")]
    [InlineData("queen-rbee", "serving.placement.strategy", "ORCHESTRATORD_PLACEMENT_STRATEGY", "fastest", "round-robin", "random")]
    [InlineData("queen-rbee", "serving.cloud_profile", "ORCHESTRATORD_CLOUD_PROFILE", "perhaps", "true", "false")]
    [InlineData("queen-rbee", "telemetry.metrics_port", "PROMETHEUS_METRICS_PORT", "65536", "0", "65535")]
    [InlineData("pool-managerd", "serving.node.heartbeat_interval_secs", "POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS", "0", "1", "60")]
    [InlineData("pool-managerd", "serving.node.watch_interval_ms", "POOL_MANAGERD_WATCH_INTERVAL_MS", "10001", "100", "10000")]
    [InlineData("pool-managerd", "serving.node.gpu_discovery_interval_ms", "POOL_MANAGERD_GPU_DISCOVERY_INTERVAL_MS", "60001", "1000", "60000")]
    public async Task Value_OutOfItsRange_IsOneFaultAndExit2(string verb, string key, string variable, string value, string least, string most)
    {
        var (exit, output, err) = await RunningLoom.RunAsync(_folder.Path, [verb], [(variable, value)]);

        exit.ShouldBe(2);
        output.ShouldBeEmpty();
        var lines = err.Split('\n');
        var fault = Array.FindIndex(lines, l => l.Contains("error CFG", StringComparison.Ordinal));
        lines.Count(l => l.Contains("error CFG", StringComparison.Ordinal)).ShouldBe(1, err);
        lines[fault].ShouldContain($"{key} {variable}=\"{value}\"");
        lines[fault + 1].ShouldContain(least);
        lines[fault + 1].ShouldContain(most);
    }

    [Fact]
    public async Task Mistakes_Three_AreThreeFaults()
    {
        var (exit, _, err) = await RunningLoom.RunAsync(
            _folder.Path, ["queen-rbee"], [("ORCHESTRATORD_NODE_TIMEOUT_MS", "1"), ("ORCHD_ADMISSION_CAPACITY", "0"), ("ORCHD_ADMISSION_POLICY", "none")]);

        exit.ShouldBe(2);
        err.Split('\n').Count(l => l.Contains("error CFG", StringComparison.Ordinal)).ShouldBe(3);
    }

    [Theory]
    [InlineData("queen-rbee", "LLORCH_API_TOKEN", "ORCHESTRATORD_CLOUD_PROFILE", "true")]
    [InlineData("queen-rbee", "LLORCH_API_TOKEN", "ORCHESTRATORD_BIND_ADDR", "0.0.0.0:0")]
    [InlineData("pool-managerd", "POOL_MANAGERD_NODE_ID", "ORCHESTRATORD_URL", "http://127.0.0.1:9")]
    public async Task Required_Missing_RefusesToStart(string verb, string missing, string variable, string value)
    {
        var (exit, _, err) = await RunningLoom.RunAsync(_folder.Path, [verb], [(variable, value)]);

        exit.ShouldBe(2);
        err.ShouldContain(missing);
    }
}
