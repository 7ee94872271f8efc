using System.Collections.Immutable;
using Loom.Core.Settings;
using Loom.Core.Settings.Rules;
using Loom.Node;
using Loom.Node.Plans;
using Loom.Node.Settings;
using Loom.Testing.Settings;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Node;

public sealed class NodeSettingsTests
{
    [Fact]
    public void From_NothingConfigured_OneEmbeddedPoolWithTheDemoModel()
    {
        var options = Options("");
        options.NodeId.ShouldBe("host-1");
        options.EnginePorts.ShouldBe((28080, 28179));
        options.CacheDir.ShouldBe("/home/user/.cache/llama-orch");
        options.ModelsDir.ShouldBe("/project/.loom/data/llm/models");
        var pool = options.Pools.ShouldHaveSingleItem();
        (pool.Id, pool.Engine, pool.Replicas, pool.Slots, pool.Ctx).ShouldBe(("default", EnginePlan.Embedded, 1, 4, null));
        pool.Models.ShouldBe(["demo"]);
    }

    [Fact]
    public void From_EverythingConfigured_IsRead()
    {
        var options = Options("""
            [serving.engines.cpu]
            kind = "llama-server"
            binary = "bin/llama-server"
            args = ["--verbose"]
            env = { GGML_LOG = "1" }
            threads = 3
            numa = "bind:0-1"
            health_path = "/healthz"
            ready_timeout_secs = 9
            stream_usage = false
            [serving.pools.chat]
            engine = "cpu"
            models = ["coder", "file:other.gguf"]
            aliases = ["gpt-4"]
            replicas = 2
            slots = 8
            ctx = 1024
            gpu_layers = 7
            deterministic = true
            device_mask = ["1"]
            [models.coder]
            source = "hf:org/repo/file.gguf"
            ctx = 99
            """);
        var pool = options.Pools.ShouldHaveSingleItem();
        (pool.Replicas, pool.Slots, pool.Ctx, pool.GpuLayers, pool.Deterministic).ShouldBe((2, 8, 1024, 7, true));
        pool.ModelIds.ShouldBe(["coder", "other"]);
        pool.DeviceMask.ShouldBe(["1"]);
        var engine = pool.Engine;
        (engine.Binary, engine.Threads, engine.Numa, engine.HealthPath, engine.ReadyTimeout, engine.StreamUsage)
            .ShouldBe(("/project/bin/llama-server", 3, "bind:0-1", "/healthz", TimeSpan.FromSeconds(9), false));
        engine.Env["GGML_LOG"].ShouldBe("1");
        options.Models["coder"].ShouldBe(new ModelPlan("coder", "hf:org/repo/file.gguf") { Ctx = 99 });
    }

    [Fact]
    public void From_Provider_IsAPoolOfItsOwnWithSixteenSlots()
    {
        var options = Options("""
            [llm.far]
            base_url = "https://api.example.com/v1/"
            model = "big"
            api_key_env = "FAR_KEY"
            headers = { "X-Team" = "weave" }
            [llm.own]
            type = "local"
            """, ("FAR_KEY", "sk-far"));
        var pool = options.Pools.Single(p => p.Id == "llm-far");
        (pool.Slots, pool.Engine.Kind, pool.Engine.Provider).ShouldBe((16, EngineKinds.OpenAI, "far"));
        pool.Models.ShouldBe(["big"]);
        pool.Aliases.ShouldBe(["far", "far/big"]);
        options.Providers["far"].Credentials.ApiKey.ShouldBe("sk-far");
        options.Providers["far"].Credentials.Headers["x-team"].ShouldBe("weave");
        options.Pools.ShouldNotContain(p => p.Id == "llm-own");
    }

    [Fact]
    public void From_ProviderNamedLikeAModel_LeavesTheNameToThePool()
    {
        var options = Options("""
            [serving.pools.chat]
            models = ["demo"]
            aliases = ["far/big"]
            [llm.demo]
            base_url = "https://api.example.com/v1"
            model = "big"
            [llm.far]
            base_url = "https://api.example.com/v1"
            model = "big"
            """);
        options.Pools.Single(p => p.Id == "llm-demo").Aliases.ShouldBe(["demo/big"]);
        options.Pools.Single(p => p.Id == "llm-far").Aliases.ShouldBe(["far"]);
    }

    [Fact]
    public void View_ProviderPool_NamesTheProvidersModelOnlyWhereThePoolHasOne()
    {
        var provider = new ProviderPlan("far", new Uri("https://api.example.com/v1")) { Model = "big" };
        var pool = new PoolPlan { Id = "far", Engine = new EnginePlan { Name = "far", Kind = EngineKinds.OpenAI, Provider = "far" }, Models = ["small"] };
        var id = new ReplicaId("here", "far", "r0");
        ReplicaView.Of(id, pool, provider).UpstreamModel.ShouldBe("big");
        ReplicaView.Of(id, pool with { Models = ["small", "large"] }, provider).UpstreamModel.ShouldBeNull();
    }

    [Fact]
    public void From_MockMode_TurnsEveryPoolIntoMock()
    {
        var options = Options("[llm.far]\nbase_url = \"https://api.example.com/v1\"\n", ("ORCHESTRATOR_MOCK_MODE", "1"));
        options.Pools.Length.ShouldBe(2);
        options.Pools.ShouldAllBe(p => p.Engine.Kind == EngineKinds.Mock);
    }

    [Theory]
    [InlineData("[serving.engines.x]\nkind = \"command\"", "kind command needs a command")]
    [InlineData("[serving.engines.x]\nkind = \"openai\"", "kind openai needs a provider")]
    [InlineData("[serving.engines.x]\nkind = \"openai\"\nprovider = \"own\"\n[llm.own]\ntype = \"local\"", "not of type http")]
    [InlineData("[llm.far]\nmodel = \"m\"", "type http needs the address")]
    [InlineData("[serving.pools.chat]\nmodels = [\"nobody\"]", "there is no model 'nobody'")]
    [InlineData("[serving.node]\nengine_ports = \"3000-2000\"", "R12")]
    [InlineData("[serving.node]\nengine_ports = \"80-90\"", "first-last, 1024 to 65535")]
    [InlineData("[serving.node]\npools = [\"nobody\"]", "there is no pool 'nobody'")]
    [InlineData("[serving.pools.llm-far]\n[llm.far]\nbase_url = \"https://a.example\"", "is one too")]
    [InlineData("[serving.engines.x]\nkind = \"llama-server\"\nurl = \"https://a.example/x.zip\"", "needs the version")]
    [InlineData("[serving.engines.x]\nkind = \"llama-server\"\nnuma = \"bind:\"", "interleave")]
    public void Rules_Broken_AreReported(string toml, string part)
    {
        var result = Load(toml);
        result.Ok.ShouldBeFalse();
        result.Faults.ShouldContain(f => f.Message.Contains(part), string.Join('\n', result.Faults.Select(f => f.Message)));
    }

    [Fact]
    public void Rows_Declared_AreAllRead()
    {
        var snapshot = Load("[llm.a]\nbase_url = \"https://a.example\"\nheaders = { a = \"b\" }\n[serving.engines.x]\nkind = \"mock\"\nenv = { A = \"b\" "
            + "}\n[serving.pools.p]\nengine = \"x\"\n[models.m]\nsource = \"demo\"\n").Snapshot;
        NodeOptions.From(snapshot, Surroundings([]));
        NodeSettings.All.Except(Loom.Node.Link.LinkSettings.All).Select(s => s.Key).Except(snapshot.Reads).ShouldBeEmpty(); // the link reads its own
    }

    private static NodeOptions Options(string toml, params (string Name, string Value)[] variables)
    {
        var result = Load(toml, variables);
        result.Faults.Where(f => f.Severity == FaultSeverity.Error).Select(f => f.Message).ShouldBeEmpty();
        return NodeOptions.From(result.Snapshot, Surroundings(variables));
    }

    private static LoadResult Load(string toml, params (string Name, string Value)[] variables)
    {
        var load = new TestLoad([.. SharedSettings.All, .. NodeSettings.All]).Toml(toml);
        foreach (var (name, value) in variables)
        {
            load.Variable(name, value);
        }

        return SettingsLoader.Load(load.Request() with { CrossRules = [.. CrossRules.All, .. NodeRules.All] });
    }

    private static NodeSurroundings Surroundings((string Name, string Value)[] variables) =>
        new("/bin/loom", "/project/.loom/logs", null, variables.ToImmutableDictionary(v => v.Name, v => v.Value));
}
