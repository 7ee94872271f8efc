using Loom.Core.Settings;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

/// <summary>Each rule is tripped once, and once held just inside it.</summary>
public sealed class CrossRuleTests
{
    private const string Token = "0123456789abcdef0123456789abcdef";

    [Theory]
    [InlineData(LoomPart.Up)]
    [InlineData(LoomPart.QueenRbee)]
    [InlineData(LoomPart.PoolManagerd)]
    public void R1_CloudWithoutToken_IsAnError(LoomPart part)
    {
        var load = Load().For(part).Variable("ORCHESTRATORD_CLOUD_PROFILE", "true");
        Rule(load, "R1").Key.ShouldBe("auth.token");
        Rules(load.Variable("LLORCH_API_TOKEN", Token)).ShouldNotContain("R1");
    }

    [Fact]
    public void R1_Provisioner_NeedsNoToken() =>
        Rules(Load().For(LoomPart.EngineProvisioner).Variable("ORCHESTRATORD_CLOUD_PROFILE", "true")).ShouldNotContain("R1");

    [Fact]
    public void R1_TokenFromFile_Counts()
    {
        var load = Load().For(LoomPart.QueenRbee).Variable("ORCHESTRATORD_CLOUD_PROFILE", "true").Variable("LLORCH_API_TOKEN_FILE", "/run/secrets/token");
        load.Files.Add("/run/secrets/token", Token + "\nsecond line");
        Rules(load).ShouldBeEmpty();
        load.Load().Snapshot.Get(SharedSettings.Token).Reveal().ShouldBe(Token);
    }

    [Fact]
    public void R2_CloudNodeWithoutNameAndControlPlane_IsTwoErrors()
    {
        var load = Load().For(LoomPart.PoolManagerd).Variable("ORCHESTRATORD_CLOUD_PROFILE", "true").Variable("LLORCH_API_TOKEN", Token);
        load.Load().Faults.Where(f => f.Rule == "R2").Select(f => f.Key).ShouldBe(["serving.node.control_plane_url", "serving.node.id"]);
        Rules(load.Variable("POOL_MANAGERD_NODE_ID", "gpu-1").Variable("ORCHESTRATORD_URL", "http://queen:8080")).ShouldNotContain("R2");
    }

    [Theory]
    [InlineData("ORCHESTRATORD_BIND_ADDR", "0.0.0.0:8080", LoomPart.QueenRbee, true)]
    [InlineData("ORCHESTRATORD_BIND_ADDR", "127.0.0.2:8080", LoomPart.QueenRbee, false)]
    [InlineData("ORCHESTRATORD_BIND_ADDR", "[::1]:8080", LoomPart.Up, false)]
    [InlineData("POOL_MANAGERD_BIND_ADDR", "10.0.0.1:9200", LoomPart.Up, true)]
    [InlineData("POOL_MANAGERD_BIND_ADDR", "10.0.0.1:9200", LoomPart.QueenRbee, false)]
    [InlineData("POOL_MANAGERD_BIND_ADDR", "localhost:9200", LoomPart.Up, false)]
    public void R3_OpenAddressWithoutToken_IsAnError(string variable, string value, LoomPart part, bool tripped)
    {
        var load = Load().For(part).Variable(variable, value);
        Rules(load).Contains("R3").ShouldBe(tripped);
        Rules(load.Variable("LLORCH_API_TOKEN", Token)).ShouldNotContain("R3");
    }

    [Fact]
    public void R4_UrlBesideHome_IsAnErrorForTheNodeAgent()
    {
        var load = Load().For(LoomPart.PoolManagerd).Variable("ORCHESTRATORD_URL", "http://q:1").Variable("ORCHESTRATORD_CLOUD_PROFILE", "false");
        Rule(load, "R4").Key.ShouldBe("serving.node.control_plane_url");
        load.Environment.Remove("ORCHESTRATORD_CLOUD_PROFILE");
        load.Load().Snapshot.Profile.ShouldBe(SettingsProfile.Cloud);
        Rules(load).ShouldNotContain("R4");
    }

    [Fact]
    public void R5_DifferentHandoffFolders_AreAnError()
    {
        var load = Load().Variable("ORCHD_RUNTIME_DIR", "/run/a").Variable("POOL_MANAGERD_RUNTIME_DIR", "/run/b");
        Rule(load, "R5").Key.ShouldBe("serving.node.runtime_dir");
        load.Files.Links["/run/b"] = "/run/a";
        load.Variable("ENGINE_PROVISIONER_HANDOFF_DIR", "/run/a");
        Rules(load).ShouldNotContain("R5");
        Rules(Load().For(LoomPart.PoolManagerd).Variable("ORCHD_RUNTIME_DIR", "/run/a").Variable("POOL_MANAGERD_RUNTIME_DIR", "/run/b")).ShouldNotContain("R5");
    }

    [Fact]
    public void R5_FolderOthersCanWrite_IsAnError()
    {
        var load = Load();
        load.Files.AddFolder("/project/.runtime/engines");
        Rules(load).ShouldBeEmpty();
        load.Files.Open.Add("/project/.runtime/engines");
        Rule(load, "R5").Message.ShouldContain("other users can write");
    }

    [Fact]
    public void R7_TwoListenersOnOnePort_IsAnErrorThatNamesBoth()
    {
        var load = Load().Variable("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:8080");
        var fault = Rule(load, "R7");
        fault.Key.ShouldBe("serving.node.bind");
        fault.Message.ShouldContain("serving.bind");
        Rules(Load().Variable("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:0").Variable("ORCHESTRATORD_BIND_ADDR", "127.0.0.1:0").Variable("PROMETHEUS_METRICS_PORT", "0")).ShouldBeEmpty();
        Rule(Load().Variable("PROMETHEUS_METRICS_PORT", "8080"), "R7").Key.ShouldBe("telemetry.metrics_port");
        Rules(Load().For(LoomPart.QueenRbee).Variable("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:8080")).ShouldBeEmpty();
    }

    [Fact]
    public void R10_TwoForms_AreAnError()
    {
        var load = Load().Variable("LLORCH_API_TOKEN", Token).Variable("LLORCH_API_TOKEN_FILE", "/run/t");
        load.Files.Add("/run/t", Token);
        Rule(load, "R10").Key.ShouldBe("auth.token_file");
        Rule(Load().Variable("K", "v").Toml("[llm.a]\napi_key = \"${K}\"\napi_key_env = \"K\""), "R10").Key.ShouldBe("llm.a.api_key_env");
        Rules(Load().Toml("[llm.a]\napi_key_env = \"K\"")).ShouldBeEmpty();
    }

    [Fact]
    public void R11_NamesOfNobody_AreErrorsWithTheirPlace()
    {
        var fault = Rule(Load().Toml("[serving.engines.cpu]\nkind = \"llama-server\"\n[serving.pools.chat]\nengine = \"cqu\""), "R11");
        fault.Source!.Line.ShouldBe(4);
        fault.Fix!.ShouldContain("did you mean 'cpu'?");
        Rules(Load().Toml("[engines.cpu]\nkind = \"llama-server\"\n[serving.pools.chat]\nengine = \"cpu\"\n[serving.pools.small]\nengine = \"embedded\"")).ShouldBeEmpty();
        Rule(Load().Toml("[engines.far]\nkind = \"openai\"\nprovider = \"deepsek\"\n[llm.deepseek]\n"), "R11").Key.ShouldBe("serving.engines.far.provider");
        Rules(Load().Toml("[engines.far]\nkind = \"openai\"\nprovider = \"deepseek\"\n[llm.deepseek]\n")).ShouldBeEmpty();
    }

    [Fact]
    public void R11_OneAliasTwice_IsAnError()
    {
        Rule(Load().Toml("[serving.pools.a]\naliases = [\"x\"]\n[serving.pools.b]\naliases = [\"y\", \"x\"]"), "R11").Key.ShouldBe("serving.pools.b.aliases");
        Rule(Load().Toml("[serving.pools.a]\naliases = [\"b\"]\n[serving.pools.b]\n"), "R11").Key.ShouldBe("serving.pools.a.aliases");
        Rules(Load().Toml("[serving.pools.a]\naliases = [\"x\", \"a\"]\n[serving.pools.b]\naliases = [\"y\"]")).ShouldBeEmpty();
    }

    [Theory]
    [InlineData("29", "30000", true)]
    [InlineData("30", "30000", false)]
    [InlineData("60", "60001", true)]
    public void R13_HeartbeatNotShorterThanTimeout_Warns(string seconds, string milliseconds, bool inside)
    {
        var load = Load().Variable("POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS", seconds).Variable("ORCHESTRATORD_NODE_TIMEOUT_MS", milliseconds);
        Rules(load).Contains("R13").ShouldBe(!inside);
        load.Load().Ok.ShouldBeTrue();
    }

    [Fact]
    public void R13_OnTwoMachines_NeedsBothToBeGiven() =>
        Rules(Load().For(LoomPart.PoolManagerd).Variable("POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS", "60")).ShouldNotContain("R13");

    [Fact]
    public void R14_StaleCheckLongerThanTimeout_Warns()
    {
        Rules(Load().Variable("ORCHESTRATORD_STALE_CHECK_INTERVAL_SECS", "31")).ShouldContain("R14");
        Rules(Load().Variable("ORCHESTRATORD_STALE_CHECK_INTERVAL_SECS", "30")).ShouldNotContain("R14");
    }

    [Fact]
    public void R15_MockModeInProduction_Warns()
    {
        Rules(Load().Variable("ORCHESTRATOR_MOCK_MODE", "true")).ShouldBe(["R15"]);
        SettingsLoader.Load(Load().Variable("ORCHESTRATOR_MOCK_MODE", "true").Request() with { TestMode = true }).Faults.ShouldBeEmpty();
        Rules(Load().Variable("ORCHESTRATOR_MOCK_MODE", "false")).ShouldBeEmpty();
    }

    [Fact]
    public void R16_WeakOrOpenSecret_Warns()
    {
        Rule(Load().Variable("LLORCH_API_TOKEN", Token[1..]), "R16").Severity.ShouldBe(FaultSeverity.Warning);
        Rules(Load().Variable("LLORCH_API_TOKEN", Token)).ShouldBeEmpty();
        Rule(Load().Toml("[llm.a]\napi_key = \"sk-123\""), "R16").Line!.ShouldBe("api_key = [redacted]");
        Rules(Load().Variable("K", "sk-123").Toml("[llm.a]\napi_key = \"${K}\"")).ShouldBeEmpty();
    }

    [Fact]
    public void R17_SettingOfTheOtherProfile_Warns()
    {
        Rules(Load().Variable("ORCHESTRATORD_NODE_TIMEOUT_MS", "40000")).ShouldBe(["R17"]);
        Rules(Load().For(LoomPart.QueenRbee).Variable("ORCHESTRATORD_CLOUD_PROFILE", "1").Variable("LLORCH_API_TOKEN", Token).Variable("ORCHESTRATORD_NODE_TIMEOUT_MS", "40000")).ShouldBeEmpty();
        Rules(Load().For(LoomPart.QueenRbee).Variable("ORCHESTRATORD_CLOUD_PROFILE", "1").Variable("LLORCH_API_TOKEN", Token).Variable("ORCHD_RUNTIME_DIR", "/a")).ShouldBe(["R17"]);
        Rules(Load().Variable("ORCHD_RUNTIME_DIR", "/a")).ShouldBeEmpty();
        Rule(Load().For(LoomPart.PoolManagerd).Variable("POOL_MANAGERD_NODE_ID", "n"), "R17").Message.ShouldContain("will not register");
    }

    [Fact]
    public void Rules_SettingAtFault_KeepSilent() =>
        Rules(Load().Variable("ORCHESTRATORD_BIND_ADDR", "0.0.0.0")).ShouldBeEmpty();

    [Fact]
    public void Rules_BrokenFile_KeepSilent()
    {
        var load = Load().Variable("ORCHESTRATORD_BIND_ADDR", "0.0.0.0:80").Toml("a = ");
        Rules(load).ShouldBeEmpty();
        load.Load().Faults.ShouldHaveSingleItem().Code.ShouldBe(FaultCode.Syntax);
    }

    private static TestLoad Load() => new(SpecRows.Registry);

    private static Fault Rule(TestLoad load, string rule) => load.Load().Faults.Where(f => f.Rule == rule).ShouldHaveSingleItem();

    private static string[] Rules(TestLoad load) => [.. load.Load().Faults.Where(f => f.Rule is not null).Select(f => f.Rule!)];
}
