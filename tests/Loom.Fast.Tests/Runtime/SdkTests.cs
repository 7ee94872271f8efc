using System.Text;
using System.Text.Json;
using Loom.Runtime;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Runtime;

/// <summary>The C# API where it needs no process.</summary>
public sealed class SdkTests
{
    [Fact]
    public void OrchestratorConfig_Defaults_AreThoseOfTheContract()
    {
        var config = new OrchestratorConfig { ProjectDir = "/project" };
        (config.RuntimeMode, config.RuntimeVersion, config.StartupWaitSec, config.PreferRelease, config.ForceDownload).ShouldBe((RuntimeMode.Full, "latest", 2.0, true, false));
        (config.LogsDir, config.BridgePort, config.DashboardPort).ShouldBe((null, null, null));
        config.AgentScripts.ShouldBeEmpty();
        config.Arguments().ShouldBe(["up", "--json", "--no-input", "--stop-with-stdin", "-C", "/project"]);
    }

    [Fact]
    public void OrchestratorConfig_EverythingSet_BecomesOneCommandLine() => new OrchestratorConfig
    {
        ProjectDir = "/project",
        RuntimeMode = RuntimeMode.BridgeOnly,
        RuntimeVersion = "v0.1.0",
        LogsDir = "/logs",
        BridgePort = 1,
        DashboardPort = 2,
        AgentScripts = ["agents/a.py", "/b.py"],
        PreferRelease = false,
        ForceDownload = true,
    }.Arguments().Skip(6).ShouldBe(
    [
        "--mode", "bridge-only", "--version", "v0.1.0", "--set", "runtime.logs_dir=/logs", "--set", "bridge.address=127.0.0.1:1", "--set", "dashboard.port=2",
        "--script", "/project/agents/a.py", "--script", "/b.py", "--use-debug", "--force-download",
    ]);

    [Fact]
    public void ProcessInfo_Json_IsRead()
    {
        var info = ProcessInfo.Read(Json("""{"name":"a","kind":"agent","state":"backoff","pid":null,"restarts":2,"last_exit":{"code":null,"signal":9,"at":"2026-01-02T03:04:05Z"},"reason":"killed"}"""));
        info.ShouldBe(new ProcessInfo("a", "agent", "backoff", null, 2, new ProcessExit(null, 9, new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero)), "killed"));
    }

    [Fact]
    public void Answers_Document_IsWholeOnlyWithItsLastLine()
    {
        var sofar = new StringBuilder();
        LoomAnswers.TryComplete(sofar, "noise").ShouldBeNull();
        LoomAnswers.TryComplete(sofar, "{").ShouldBeNull();
        LoomAnswers.TryComplete(sofar, "  \"a\": {}").ShouldBeNull();
        LoomAnswers.TryComplete(sofar, "}")!.Value.GetProperty("a").ValueKind.ShouldBe(JsonValueKind.Object);
        LoomAnswers.TryComplete(sofar, "{\"b\":1}")!.Value.GetProperty("b").GetInt32().ShouldBe(1);
    }

    [Fact]
    public void Answers_Failure_IsTheErrorObjectElseWhatWasSaid()
    {
        var told = LoomAnswers.Failure(8, ["noise", """{"error":{"code":"DOWNLOAD","message":"nobody answers","fix":"try again","exit":8}}"""]);
        (told.ExitCode, told.Code, told.Fix, told.Message).ShouldBe((8, "DOWNLOAD", "try again", "nobody answers (fix: try again)"));
        LoomAnswers.Failure(1, ["first", "last"]).Message.ShouldBe("first\nlast");
        LoomAnswers.Failure(1, []).Message.ShouldContain("exit code 1");
    }

    [Fact]
    public void Answers_Faults_AllInOneException()
    {
        var error = LoomAnswers.Faults(Json("""
            {"ok":false,"errors":[{"code":"CFG021","key":"agents.a.restart","message":"not one of","source":{"layer":"loom.toml","file":"/p/loom.toml","line":14,"column":11},"fix":"restart = \"never\""},
            {"code":"CFG003","variable":"LOOM_X","message":"wrong"}]}
            """));
        error.Errors.Count.ShouldBe(2);
        error.Errors[0].ToString().ShouldBe("/p/loom.toml:14:11: CFG021 agents.a.restart: not one of (fix: restart = \"never\")");
        error.Message.ShouldContain("LOOM_X: wrong");
        error.ExitCode.ShouldBe(2);
    }

    [Fact]
    public void Config_NothingConfigured_HasDefaults()
    {
        var config = ProjectConfig.Read(Json("""{"project":"/home/ann/demo","settings":[]}"""));
        (config.Name, config.Bridge.Address, config.Dashboard).ShouldBe(("demo", "127.0.0.1:50051", new DashboardConfig(true, "127.0.0.1", 3030)));
        config.Llm.ShouldBeEmpty();
        config.McpServers.ShouldBeEmpty();
        config.Agents.ShouldBeEmpty();
    }

    private static JsonElement Json(string text)
    {
        using var document = JsonDocument.Parse(text);
        return document.RootElement.Clone();
    }
}
