using System.Text;
using Loom.Cli.Config;
using Loom.Core.Settings;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

public sealed class LoaderTests
{
    [Fact]
    public void Layers_Ranked_TheFirstThatGivesAValueWins()
    {
        var load = Load().Toml("[serving]\nnode_timeout_ms = 6000");
        Timeout(load).ShouldBe((6000, SettingLayer.File));
        Timeout(load.EnvFile("ORCHESTRATORD_NODE_TIMEOUT_MS=7000")).ShouldBe((7000, SettingLayer.EnvFile));
        Timeout(load.Variable("ORCHESTRATORD_NODE_TIMEOUT_MS", "8000")).ShouldBe((8000, SettingLayer.Environment));
        Timeout(load.Set("serving.node_timeout_ms", "9000").Set("serving.node_timeout_ms", "9001")).ShouldBe((9001, SettingLayer.CommandLine));
        load.Load().Given["serving.node_timeout_ms"].Select(g => g.Source.Layer).Distinct().ShouldBe([SettingLayer.CommandLine, SettingLayer.Environment, SettingLayer.File]);
    }

    [Fact]
    public void Layers_CoveredValueAtFault_IsStillTold()
    {
        var load = Load().Toml("[serving]\nnode_timeout_ms = 1\nbind = 8080").Variable("ORCHESTRATORD_NODE_TIMEOUT_MS", "x").EnvFile("ORCHD_ADMISSION_CAPACITY=0").Set("serving.placement.strategy", "fastest");
        load.Load().Faults.Select(f => (f.Code, f.Source!.Layer)).ShouldBe(
        [
            (FaultCode.Range, SettingLayer.File), (FaultCode.Type, SettingLayer.File), (FaultCode.Range, SettingLayer.EnvFile), (FaultCode.Type, SettingLayer.Environment),
            (FaultCode.NotOneOf, SettingLayer.CommandLine),
        ], ignoreOrder: true);
        load.Load().Snapshot.Get(SharedSettings.MetricsPort).ShouldBe(9090);
    }

    [Theory]
    [InlineData("/project/sub/deep", "/project")]
    [InlineData("/elsewhere", "/elsewhere")]
    public void Project_NotNamed_IsTheNearestFolderUpwards(string working, string found)
    {
        var load = Load().Toml("name = \"p\"");
        load.WorkingFolder = working;
        load.Load().Snapshot.ProjectFolder.ShouldBe(found);
    }

    [Fact]
    public void Project_Named_WinsAndMustExist()
    {
        var load = Load().Variable("LOOM_PROJECT", "../project");
        load.WorkingFolder = "/elsewhere";
        load.Load().Snapshot.ProjectFolder.ShouldBe("/project");
        load.Load().Ok.ShouldBeTrue();
        load.CommandLine.Add(new CommandLineValue("--project", "project.dir", "/none"));
        load.Load().Faults.ShouldHaveSingleItem().Message.ShouldBe("there is no folder /none");
    }

    [Fact]
    public void EnvFiles_Listed_LaterWinsAndMissingOnesAreTold()
    {
        var load = Load().EnvFile("LLORCH_API_TOKEN_FILE=/a\nORCHD_ADMISSION_CAPACITY=1").Toml("[runtime]\nenv_file = [\".env\", \".env.${STAGE}\"]").Variable("STAGE", "prod");
        load.Load().Faults.ShouldContain(f => f.Code == FaultCode.File && f.Source!.Line == 2 && f.Message == "there is no env file .env.prod");
        load.Files.Add("/project/.env.prod", "ORCHD_ADMISSION_CAPACITY=2\nLLORCH_API_TOKEN_FILE=");
        load.Load().Snapshot.Values["serving.admission.capacity"].Value.ShouldBe(2L);
        load.Set("runtime.env_file", ".env");
        load.Load().Snapshot.Values["serving.admission.capacity"].Value.ShouldBe(1L);
    }

    [Fact]
    public void EnvFile_OthersCanRead_Warns()
    {
        var load = Load();
        load.Files.Add("/project/.env", "A=b", othersCanRead: true);
        load.Load().Faults.ShouldHaveSingleItem().Fix.ShouldBe("chmod 600 .env");
    }

    [Theory]
    [InlineData("ORCHD_ADDR", "127.0.0.1:1", "ORCHESTRATORD_BIND_ADDR", "127.0.0.1:1", true)]
    [InlineData("ORCHD_ADDR", "127.0.0.1:1", "ORCHESTRATORD_BIND_ADDR", "127.0.0.1:2", false)]
    [InlineData("ORCHESTRATOR_MEMRL", "on", "ORCHESTRATOR_FEATURES__MEMRL", "1", true)]
    [InlineData("ORCHESTRATOR_MEMRL", "on", "ORCHESTRATOR_FEATURES__MEMRL", "0", false)]
    [InlineData("LOOM_LOG", "debug", "RUST_LOG", "trace", true)]
    public void Aliases_OfVariables_MayNotContradict(string a, string x, string b, string y, bool ok) =>
        Load().Variable(a, x).Variable(b, y).Load().Faults.Any(f => f.Code == FaultCode.Conflict).ShouldBe(!ok);

    [Fact]
    public void Aliases_OlderNameAlone_WorksWithOneNote()
    {
        var result = Load().Variable("ORCHD_ADDR", "127.0.0.1:9").Load();
        result.Faults.ShouldBeEmpty();
        result.Notes.ShouldBe(["ORCHD_ADDR is the older name of ORCHESTRATORD_BIND_ADDR"]);
        result.Snapshot.Values["serving.bind"].Value.ShouldBe(new HostPort("127.0.0.1", 9));
    }

    [Fact]
    public void Aliases_OfKeys_MayNotContradict()
    {
        var load = Load().Toml("[engines.a]\nkind = \"mock\"\n[llm.x]\napi_base = \"http://a\"\nbase_url = \"http://a/\"");
        load.Load().Faults.ShouldBeEmpty();
        load.Load().Snapshot.Names("serving.engines").ShouldBe(["a"]);
        load.Toml("[engines.a]\nkind = \"mock\"\n[serving.engines.a]\nkind = \"openai\"");
        var fault = load.Load().Faults.ShouldHaveSingleItem();
        (fault.Code, fault.Source!.Line).ShouldBe((FaultCode.Conflict, 4));
        fault.Message.ShouldContain("loom.toml:2");
    }

    [Fact]
    public void InvertedVariable_TurnsTheKeyRound() =>
        Load().Variable("LOOM_PREFER_DEBUG", "1").Load().Snapshot.Values["runtime.prefer_release"].Value.ShouldBe(false);

    [Fact]
    public void Derived_HandoffFolderAndWatchIntervalAndPools_Follow()
    {
        var result = Load().Variable("POOL_MANAGERD_RUNTIME_DIR", "/h").Variable("ORCHD_HANDOFF_WATCH_INTERVAL_MS", "500").Toml("[serving.pools.chat]\n[serving.pools.code]").Load();
        result.Faults.ShouldBeEmpty();
        Text(result, "serving.runtime_dir").ShouldBe("/h");
        Text(result, "serving.provisioner.handoff_dir").ShouldBe("/h");
        Text(result, "serving.node.watch_interval_ms").ShouldBe("500");
        Text(result, "serving.node.pools").ShouldBe("chat,code");
        Text(result, "serving.node.id").ShouldBe("host-1");
        Text(Load().Load(), "serving.node.pools").ShouldBe("default");
        Text(Load().For(LoomPart.PoolManagerd).Load(), "telemetry.metrics_port").ShouldBe("9091");
    }

    [Fact]
    public void Shorthand_OfTables_StandsForThem()
    {
        var result = Load().Toml("[agents.a]\nrestart = \"always\"\ndepends_on = [\"b\", \"mcp.x\"]").Load();
        result.Faults.ShouldBeEmpty();
        Text(result, "agents.a.restart.policy").ShouldBe("always");
        result.Snapshot.Names("agents.*.depends_on", "a").ShouldBe(["b", "mcp.x"]);
        Text(result, "agents.a.depends_on.\"mcp.x\"").ShouldBe("ready");
    }

    [Fact]
    public void Required_KeyOfATable_IsMissedAtTheTable()
    {
        var fault = Load().Toml("\n[serving.engines.cpu]\nthreads = 2").Load().Faults.ShouldHaveSingleItem();
        (fault.Code, fault.Key, fault.Source!.Line, fault.Source.Column).ShouldBe((FaultCode.Missing, "serving.engines.cpu.kind", 2, 18));
    }

    [Theory]
    [InlineData("serving.pols.chat.slots", "serving.pols", null)]
    [InlineData("serving.bnd", "serving.bnd", "bind")]
    [InlineData("zzz.a.b", "zzz", null)]
    [InlineData("project.dir", "project.dir", "set LOOM_PROJECT")]
    public void UnknownKey_OutermostPart_IsNamed(string key, string named, string? fix)
    {
        var fault = Load().Toml($"{key} = 1").Load().Faults.ShouldHaveSingleItem();
        fault.Key.ShouldBe(named);
        (fault.Fix == fix || (fix is null && fault.Fix is "pools" or null)).ShouldBeTrue(fault.Fix);
    }

    [Theory]
    [InlineData("LOOM_SOMETHNG", true)]
    [InlineData("ORCHESTRATOR_BIND_ADDR", true)]
    [InlineData("ORCHD_SERVICE_HOST", false)]
    [InlineData("LOOM_PORT_8080_TCP_ADDR", false)]
    [InlineData("LOOM_AGENT_ID", false)]
    [InlineData("PATH", false)]
    [InlineData("LOOM_REFERENCED", false)]
    public void UnknownVariable_WithOurPrefix_Warns(string name, bool warned)
    {
        var load = Load().Variable(name, "x").Toml("description = \"${LOOM_REFERENCED:-}\"");
        load.Load().Faults.Any(f => f.Code == FaultCode.UnknownVariable).ShouldBe(warned);
        load.Load().Ok.ShouldBeTrue();
    }

    [Fact]
    public void UnknownVariable_NearName_IsOffered() =>
        Load().Variable("ORCHESTRATOR_BIND_ADDR", "x").Load().Faults.ShouldHaveSingleItem().Fix.ShouldBe("did you mean ORCHESTRATORD_BIND_ADDR?");

    [Fact]
    public void BrokenFiles_TogetherWithOtherFaults_AreAllTold()
    {
        var load = Load().Toml("a = [").EnvFile("1=2").Variable("ORCHD_ADMISSION_CAPACITY", "0").Set("nobody.knows", "1");
        load.Load().Faults.Select(f => f.Code).ShouldBe([FaultCode.Syntax, FaultCode.Syntax, FaultCode.UnknownKey, FaultCode.Range]);
        load.Files.AddUnreadable("/project/loom.toml", "cannot be read: no permission");
        load.Load().Faults[0].Code.ShouldBe(FaultCode.File);
    }

    [Fact]
    public void Show_OfALoadedFile_LoadsAgainToTheSame()
    {
        const string Toml = """
            name = "a \"b\" ${X:-} $${Y} \\ \u0007"
            [serving.pools."chat.v2"]
            slots = 8
            aliases = ["x,y", "z"]
            [supervisor.grace]
            agents = "1m30s"
            [agents.a.limits]
            memory = "1.5GB"
            [llm.a]
            temperature = 0.1
            """;
        var first = Load().Toml(Toml).Load();
        first.Faults.ShouldBeEmpty();
        var registry = SpecRows.Registry;
        var shown = ShowText.Write(first.Snapshot, ShownSetting.All(first.Snapshot, registry));
        var second = Load().Toml(shown).Load();
        second.Faults.Where(f => f.Severity == FaultSeverity.Error && f.Rule is null).ShouldBeEmpty(shown);
        foreach (var (key, value) in first.Snapshot.Values.Where(v => v.Value.Value is not null))
        {
            value.Setting.Text(second.Snapshot.Values[key].Value!).ShouldBe(value.Setting.Text(value.Value!), key);
        }
    }

    [Fact]
    public void Secrets_InEveryOutput_AreNotShown()
    {
        string[] secrets = ["sk-plain-1", "sk-env-2", "tok-3-" + new string('x', 40), "pass-4", "sk-misspelt-5", "hdr-6", "sk-inline-7", "sk-line-8\\n"];
        var load = Load().Toml($$"""
            [llm.a]
            api_key = "{{secrets[0]}}"
            base_url = "ftp://user:{{secrets[3]}}@host"
            headers = { X = "{{secrets[5]}}", Y = 3 }
            [llm.b]
            api_kye = "{{secrets[4]}}"
            [llm]
            c = { api_key = "{{secrets[6]}}", timeout_sec = "x" }
            d.api_key = "{{secrets[7]}}"
            """).EnvFile($"LLORCH_API_TOKEN={secrets[2]} x\nLOOM_REDIS_URL=redis://u:{secrets[3]}@h/{secrets[1]}\nORCHESTRATORD_URL=http://u:{secrets[3]}@q:8080")
            .Variable("LOOM_REDIS_URL", "redis://other");
        var result = load.Load();
        result.Ok.ShouldBeFalse();
        var registry = SpecRows.Registry;
        var outputs = new StringBuilder(FaultText.Write(result, starting: true)).Append(ConfigJson.Check(result));
        var shown = ShownSetting.All(result.Snapshot, registry).ToList();
        outputs.Append(ShowText.Write(result.Snapshot, shown)).Append(ConfigJson.Show(result.Snapshot, shown)).Append(ConfigJson.Env(EnvListing.Lines(result, registry, all: true)));
        foreach (var setting in shown)
        {
            outputs.Append(ExplainText.Write(result, setting)).Append(ConfigJson.Explain(result, setting));
        }

        foreach (var secret in secrets)
        {
            outputs.ToString().Split('\n').Where(l => l.Contains(secret.TrimEnd('n', '\\'), StringComparison.Ordinal)).ShouldBeEmpty();
        }
    }

    [Theory]
    [InlineData("api_key = sk-9")]
    [InlineData("x = { token = sk-9 }")]
    [InlineData("env = { \"A\" = \"sk-9\", B = }")]
    public void Secrets_InALineThatDoesNotParse_AreNotShown(string line) =>
        FaultText.Write(Load().Toml(line).Load(), starting: true).ShouldNotContain("sk-9");

    private static TestLoad Load() => new(SpecRows.Registry);

    private static string? Text(LoadResult result, string key) => result.Snapshot.Values[key].Setting.Text(result.Snapshot.Values[key].Value!);

    private static (long, SettingLayer) Timeout(TestLoad load)
    {
        var value = load.Load().Snapshot.Values["serving.node_timeout_ms"];
        return ((long)value.Value!, value.Source.Layer);
    }
}
