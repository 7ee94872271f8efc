using Loom.Cli.Composition;
using Loom.Core.Settings;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

/// <summary>The examples of the source texts load unchanged, with no warning but those the rules state. All systems count, built or only specified.</summary>
public sealed class SeedTests
{
    [Fact]
    public void Seed001_HomeExample_LoadsWithoutAWord()
    {
        var load = Load("""
            # queen-rbee
            ORCHD_ADDR=127.0.0.1:8080
            ORCHD_RUNTIME_DIR=.runtime/engines
            ORCHD_ADMISSION_CAPACITY=100
            RUST_LOG=info

            # pool-managerd (same machine)
            POOL_MANAGERD_BIND_ADDR=127.0.0.1:9200
            POOL_MANAGERD_RUNTIME_DIR=.runtime/engines

            # engine-provisioner (same machine)
            ENGINE_PROVISIONER_HANDOFF_DIR=.runtime/engines
            """);
        load.Load().Faults.ShouldBeEmpty();
    }

    [Fact]
    public void Seed001_ControlPlaneExample_WarnsOfItsShortTokenOnly()
    {
        var result = Load("""
            ORCHESTRATORD_CLOUD_PROFILE=true
            ORCHESTRATORD_BIND_ADDR=0.0.0.0:8080
            LLORCH_API_TOKEN=abc123def456789...
            ORCHESTRATORD_NODE_TIMEOUT_MS=30000
            ORCHESTRATORD_PLACEMENT_STRATEGY=least-loaded
            ORCHD_ADMISSION_CAPACITY=500
            OTEL_EXPORTER_OTLP_ENDPOINT=http://tempo:4317
            PROMETHEUS_METRICS_PORT=9090
            RUST_LOG=info,queen-rbee=debug
            """).For(LoomPart.QueenRbee).Load();
        result.Faults.ShouldHaveSingleItem().Rule.ShouldBe("R16");
        result.Snapshot.Profile.ShouldBe(SettingsProfile.Cloud);
    }

    [Theory]
    [InlineData(LoomPart.PoolManagerd)]
    [InlineData(LoomPart.EngineProvisioner)]
    public void Seed001_WorkerExample_RegistersThoughItNamesNoProfile(LoomPart part)
    {
        var result = Load("""
            POOL_MANAGERD_NODE_ID=gpu-node-1
            ORCHESTRATORD_URL=http://control-plane:8080
            LLORCH_API_TOKEN=abc123def456789...
            POOL_MANAGERD_BIND_ADDR=0.0.0.0:9200
            POOL_MANAGERD_RUNTIME_DIR=/var/lib/llama-orch/engines
            POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS=10
            OTEL_EXPORTER_OTLP_ENDPOINT=http://tempo:4317
            PROMETHEUS_METRICS_PORT=9091
            RUST_LOG=info,pool_managerd=debug
            ENGINE_PROVISIONER_HANDOFF_DIR=/var/lib/llama-orch/engines
            ENGINE_PROVISIONER_CACHE_DIR=/var/cache/llama-orch
            ENGINE_PROVISIONER_GPU_MASK=0,1  # Use GPUs 0 and 1
            """).For(part).Load();
        result.Ok.ShouldBeTrue();
        result.Faults.Where(f => f.Rule is not ("R16" or "R17")).ShouldBeEmpty();
        if (part == LoomPart.PoolManagerd)
        {
            result.Snapshot.Profile.ShouldBe(SettingsProfile.Cloud);
        }
    }

    [Fact]
    public void Seed003_ProjectFile_LoadsUnchanged()
    {
        const string Toml = """
            # loom.toml

            [bridge]
            address = "localhost:50051"

            [dashboard]
            enabled = true
            port = 3030

            [llm.deepseek]
            base_url = "https://api.deepseek.com/v1"
            model = "deepseek-chat"
            api_key = "${DEEPSEEK_API_KEY}"

            [mcp.brave]
            command = "npx"
            args = ["-y", "@modelcontextprotocol/server-brave-search"]
            env = { BRAVE_API_KEY = "${BRAVE_API_KEY}" }
            """;
        // What is built loads it as well as what is specified, with the rules of a start.
        var built = new TestLoad(LoomRegistry.Instance).Toml(Toml).Variable("DEEPSEEK_API_KEY", "sk-1").Variable("BRAVE_API_KEY", "b-2").Variable("LOOM_PREFER_DEBUG", "1");
        var started = SettingsLoader.Load(built.Request() with { CrossRules = LoomRegistry.CrossRules });
        started.Faults.ShouldBeEmpty();
        started.Notes.ShouldHaveSingleItem().ShouldContain("[bridge], [dashboard], [mcp.brave] are checked");
        var load = new TestLoad(SpecRows.Registry).Toml(Toml).Variable("DEEPSEEK_API_KEY", "sk-1").Variable("BRAVE_API_KEY", "b-2").Variable("XDG_CACHE_HOME", "/custom/cache")
            .Variable("LOOM_PREFER_DEBUG", "1");
        load.Load().Faults.ShouldBeEmpty();
        load.Environment.Remove("BRAVE_API_KEY");
        var fault = load.Load().Faults.ShouldHaveSingleItem();
        (fault.Code, fault.Key, fault.Source!.Line, fault.Source.Column).ShouldBe((FaultCode.UnsetReference, "mcp.brave.env.BRAVE_API_KEY", 18, 26));
    }

    [Fact]
    public void Modes_GiveTheFlagsOfTheSpec()
    {
        string[] flags = ["memrl", "tools", "scripts", "streaming", "openai_compat", "repl", "caching", "restricted_python", "generation_monitor", "mock_mode"];
        Assert.SkipWhen(SpecRows.Read() is null, "the specs are not here; they lie in shared/spec of the workspace");
        var request = new TestLoad(SpecRows.Registry).Request();
        foreach (var test in (bool[])[false, true])
        {
            var values = SettingsLoader.Load(request with { TestMode = test }).Snapshot.Values.Where(v => v.Key.StartsWith("reasoning.features.", StringComparison.Ordinal)).ToList();
            values.Count.ShouldBe(flags.Length);
            foreach (var flag in flags)
            {
                values.Single(v => v.Key == "reasoning.features." + flag).Value.Value.ShouldBe(flag switch
                {
                    "mock_mode" => test,
                    "repl" => true,
                    _ => !test,
                }, flag);
            }
        }
    }

    private static TestLoad Load(string envFile)
    {
        Assert.SkipWhen(SpecRows.Read() is null, "the specs are not here; they lie in shared/spec of the workspace");
        return new TestLoad(SpecRows.Registry).EnvFile(envFile);
    }
}
