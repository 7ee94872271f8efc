using System.Text.Json;
using Loom.Agents.Plans;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Agents;

/// <summary>What an agent finds in its environment, and what it does not.</summary>
public sealed class AgentEnvironmentTests
{
    [Fact]
    public void Layers_Cover_InTheirOrder()
    {
        var environment = new PlannedProject("""
            [agents.a]
            command = ["a"]
            env_file = ["one.env", "two.env"]
            env = { D = "own", LOOM_AGENT_ID = "else", LOOM_LLM_MODEL = "mine", PYTHONUNBUFFERED = "0" }
            [llm.far]
            base_url = "http://far.example/v1"
            model = "big"
            """).EnvFile("A=file\nB=file\n").Variable("B", "parent").Variable("C", "parent").Variable("D", "parent")
            .File("one.env", "C=one\nE=one\n").File("two.env", "E=two\n").Process("a").Environment;
        (environment["A"], environment["B"], environment["C"], environment["D"], environment["E"]).ShouldBe(("file", "parent", "one", "own", "two"));
        (environment["LOOM_AGENT_ID"], environment["LOOM_LLM_MODEL"], environment["PYTHONUNBUFFERED"]).ShouldBe(("a", "mine", "0"));
    }

    [Fact]
    public void Tokens_OfLoom_ReachNobodyWhoDoesNotAsk()
    {
        var plan = new PlannedProject("""
            [agents.a]
            command = ["a"]
            [agents.b]
            command = ["b"]
            env = { LLORCH_API_TOKEN = "${LLORCH_API_TOKEN}" }
            """).Variable("LLORCH_API_TOKEN", "0123456789abcdef0123456789abcdef").Variable("LOOM_RUN_ID", "outer").Variable("LOOM_BRIDGE_TOKEN", "outer").Plan();
        foreach (var name in (string[])["LLORCH_API_TOKEN", "LOOM_RUN_ID", "LOOM_BRIDGE_TOKEN", "LOOM_BRIDGE_ADDR", "LOOM_LLM_API_BASE"])
        {
            plan.Agents[0].Processes[0].Environment.ShouldNotContainKey(name);
        }

        plan.Agents[1].Processes[0].Environment["LLORCH_API_TOKEN"].ShouldBe("0123456789abcdef0123456789abcdef");
    }

    [Fact]
    public void Provider_OfTypeLocal_IsTheAddressReallyBound()
    {
        var project = new PlannedProject("""
            [agents.a]
            command = ["a"]
            llm = "own"
            [agents.b]
            command = ["b"]
            [llm.far]
            base_url = "http://far.example/v1"
            api_key_env = "FAR_KEY"
            extra = { top_k = 5 }
            [llm.own]
            type = "local"
            """).Variable("FAR_KEY", "sk-far-secret").Variable("LOOM_LLM_API_KEY", "of somebody else");
        project.Surroundings = project.Surroundings with { ApiBase = "http://127.0.0.1:41000/v1", LocalModel = "demo" };
        var agents = project.Plan().Agents;
        var own = agents[0].Processes[0].Environment;
        (own["LOOM_LLM_API_BASE"], own["LOOM_LLM_MODEL"], own.ContainsKey("LOOM_LLM_API_KEY")).ShouldBe(("http://127.0.0.1:41000/v1", "demo", false));
        var first = agents[1].Processes[0].Environment;
        (first["LOOM_LLM_API_BASE"], first["LOOM_LLM_API_KEY"], first.ContainsKey("LOOM_LLM_MODEL")).ShouldBe(("http://far.example/v1", "sk-far-secret", false));
        using var config = JsonDocument.Parse(first["LOOM_AGENT_CONFIG"]);
        config.RootElement.GetProperty("llm").GetString().ShouldBe("far");
        config.RootElement.GetProperty("llm_options").GetRawText().ShouldBe("""{"max_tokens":2048,"temperature":0.7,"timeout_sec":30,"extra":{"top_k":5}}""");
    }

    [Fact]
    public void Provider_NoneConfigured_IsLocalOnlyWhereAnApiIsServed()
    {
        var project = new PlannedProject("[agents.a]\ncommand = [\"a\"]\nllm = \"local\"\n");
        project.Process("a").Environment.ShouldNotContainKey("LOOM_LLM_API_BASE");
        project.Surroundings = project.Surroundings with { ApiBase = "http://127.0.0.1:41000/v1" };
        project.Process("a").Environment["LOOM_LLM_API_BASE"].ShouldBe("http://127.0.0.1:41000/v1");
    }

    [Theory]
    [InlineData("bridge.example.com:50051", "bridge.example.com:50051")]
    [InlineData("127.0.0.1:50052", null)]
    public void BridgeAddress_OfAnotherMachine_IsHandedOn(string configured, string? told)
    {
        var environment = new PlannedProject("[agents.a]\ncommand = [\"a\"]\n").Variable("LOOM_BRIDGE_ADDR", configured).Process("a").Environment;
        environment.GetValueOrDefault("LOOM_BRIDGE_ADDR").ShouldBe(told);
    }

    [Fact]
    public void Folders_OutsideTheDataRoot_AreReplacedWithAWarning()
    {
        var project = new PlannedProject("[agents.a]\ncommand = [\"a\"]\n[agents.b]\ncommand = [\"b\"]\nenv = { HF_HOME = \"/own\" }\n")
            .Variable("HF_HOME", "/elsewhere").Variable("TMPDIR", "/project/.loom/data/tmp");
        project.Told().ShouldHaveSingleItem().ShouldStartWith("warning 042 paths.data_root: HF_HOME=/elsewhere lies outside the data root /project/.loom/data");
        var plan = project.Plan();
        plan.Agents[0].Processes[0].Environment["HF_HOME"].ShouldBe("/project/.loom/data/llm/cache/huggingface");
        plan.Agents[1].Processes[0].Environment["HF_HOME"].ShouldBe("/own");
        plan.Agents[0].Processes[0].Environment["TMPDIR"].ShouldBe("/project/.loom/data/tmp");
    }

    [Fact]
    public void Secrets_OfAllKinds_AreMaskedUnlessSwitchedOff()
    {
        var plan = new PlannedProject("""
            [agents.a]
            command = ["a"]
            env = { DB_PASSWORD = "hunter22hunter", PLAIN = "plain-value", SIGN = "signature-1" }
            secrets = ["SIGN", "SHORT"]
            [agents.b]
            command = ["b"]
            log.redact = false
            """).EnvFile("SERVICE_TOKEN=token-of-file\nSHORT=abc\n").Plan();
        var masked = plan.Agents[0].Processes[0].Log.Secrets;
        new[] { "hunter22hunter", "token-of-file", "signature-1" }.ShouldBeSubsetOf(masked.Values);
        masked.Values.ShouldNotContain("plain-value");
        masked.Values.ShouldNotContain("abc");
        plan.Agents[1].Processes[0].Log.Secrets.ShouldBeEmpty();
    }

    [Fact]
    public void EscapedReference_IsNeverTakenForALateOne()
    {
        var process = new PlannedProject("[agents.a]\ncommand = [\"a\", \"$${port.http}\", \"${port.http}\"]\nports = { http = 8000 }\n").Process("a");
        process.Command.ShouldBe(["a", "${port.http}", "8000"]);
    }

    [Fact]
    public void Ports_OfOneRun_StayTheSame()
    {
        var next = 5000;
        var book = new PortBook(() => next++ / 2);
        var first = book.Of("a.http");
        book.Of("b.http").ShouldNotBe(first);
        book.Of("a.http").ShouldBe(first);
    }
}
