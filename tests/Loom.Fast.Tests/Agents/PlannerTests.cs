using System.Text.Json;
using Loom.Agents.Discovery;
using Loom.Agents.Plans;
using Loom.Processes;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Agents;

public sealed class PlannerTests
{
    [Fact]
    public void Plan_ScriptInAgents_IsOneProcessWithDefaults()
    {
        var process = new PlannedProject().File("agents/echo.py").Process("echo");
        process.Command.ShouldBe(["/usr/bin/python3", "/project/agents/echo.py"]);
        process.Kind.ShouldBe(ProcessKind.Agent);
        process.WorkingDirectory.ShouldBe("/project");
        process.LogPath.ShouldBe("/project/.loom/logs/echo.log");
        process.ErrorLogPath.ShouldBe("/project/.loom/logs/echo.err");
        process.Restart.ShouldBe(RestartPolicy.OnFailure);
        process.Grace.ShouldBe(TimeSpan.FromSeconds(1));
        process.StopSignal.ShouldBe(15);
        process.SuccessCodes.ShouldBe([0]);
        process.FatalCodes.ShouldBe([125]);
        (process.Ready, process.Live, process.Limits, process.Replica, process.Console).ShouldBe((null, null, null, 0, ProcessConsole.Captured));
        process.Log.ShouldBe(new LogOptions { Secrets = process.Log.Secrets });
        process.Environment["LOOM_AGENT_ID"].ShouldBe("echo");
        process.Environment["LOOM_REPLICA"].ShouldBe("0");
        process.Environment["LOOM_PROJECT_DIR"].ShouldBe("/project");
        process.Environment["LOOM_AGENT_CONFIG"].ShouldBe("""{"topics":[],"config":{}}""");
        process.Environment["PYTHONUNBUFFERED"].ShouldBe("1");
        process.Environment["OTEL_SERVICE_NAME"].ShouldBe("agent-echo");
        process.Environment.ShouldNotContainKey("LOOM_BRIDGE_ADDR");
        process.Environment.ShouldNotContainKey("LOOM_RUN_ID");
    }

    [Fact]
    public void Plan_EveryKey_IsRead()
    {
        var project = new PlannedProject("""
            [serving.pools.default]
            [agents.db]
            command = ["db", "--port", "${port.sql}"]
            ports = { sql = 5432 }
            [agents.writer]
            script = "src/writer.sh"
            args = ["--name", "${agent.name}", "--copy=${agent.replica}"]
            cwd = "src"
            env = { GREETING = "hi", SPOT = "${project.dir}/x-${run.id}" }
            depends_on = { db = "started", "pools.default" = "ready" }
            on_dependency_restart = "restart"
            restart = { policy = "always", backoff = "10ms..2s", factor = 3, jitter = 0, storm = 4, window = "30s", reset_after = "1m", max = 7 }
            ready = { http = "http://127.0.0.1:${port.http}/health", every = "250ms", timeout = 1, within = "5s", status = [200, 204] }
            live = { tcp = "127.0.0.1:${port.http}", failures = 5 }
            ports = { http = 0, side-door = 0 }
            grace = "4s"
            stop = { signal = "INT", command = ["./say", "bye"] }
            replicas = 2
            success_codes = [0, 3]
            fatal_codes = []
            limits = { memory = "1GB", pids = 50, cpu = 1.5, nofile = 256, nice = 5 }
            log = { max = "1MB", keep = 2, timestamps = false, format = "json", ansi = "keep" }
            topics = ["a.b"]
            thinking_strategy = "deep"
            max_iterations = 9
            config = { depth = 3, where = { on = true, names = ["x", 1.5] } }
            """).File("src/writer.sh");
        var plan = project.Plan();
        plan.Agents.Select(a => a.Name).ShouldBe(["db", "writer"]);
        plan.Agents[0].Processes[0].Command.ShouldBe(["db", "--port", "5432"]);
        var agent = plan.Agents[1];
        agent.DependsOn.ShouldBe([new Dependency("db", DependencyKind.Agent, DependencyCondition.Started), new Dependency("default", DependencyKind.Pool, DependencyCondition.Ready)]);
        agent.RestartsWithDependencies.ShouldBeTrue();
        agent.Processes.Select(p => (p.Name, p.Replica)).ShouldBe([("writer-1", 0), ("writer-2", 1)]);
        var process = agent.Processes[1];
        process.Command.ShouldBe(["/bin/sh", "/project/src/writer.sh", "--name", "writer", "--copy=1"]);
        process.WorkingDirectory.ShouldBe("/project/src");
        process.Restart.ShouldBe(new RestartPolicy
        {
            When = RestartWhen.Always, BackoffFirst = TimeSpan.FromMilliseconds(10), BackoffMax = TimeSpan.FromSeconds(2), Factor = 3, Jitter = 0, Storm = 4,
            Window = TimeSpan.FromSeconds(30), ResetAfter = TimeSpan.FromMinutes(1), Max = 7,
        });
        var port = process.Environment["LOOM_PORT_HTTP"];
        agent.Processes.SelectMany(p => new[] { p.Environment["LOOM_PORT_HTTP"], p.Environment["LOOM_PORT_SIDE_DOOR"] }).Distinct().Count().ShouldBe(4);
        var ready = process.Ready.ShouldNotBeNull();
        ready.Check.ShouldBe(new ProbeCheck.Http(new Uri($"http://127.0.0.1:{port}/health"), 200, 204));
        (ready.Every, ready.Timeout, ready.Within).ShouldBe((TimeSpan.FromMilliseconds(250), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5)));
        var live = process.Live.ShouldNotBeNull();
        live.Check.ShouldBe(new ProbeCheck.Tcp("127.0.0.1", int.Parse(port)));
        (live.Every, live.Failures).ShouldBe((TimeSpan.FromSeconds(10), 5));
        (process.Grace, process.StopSignal).ShouldBe((TimeSpan.FromSeconds(4), 2));
        process.StopCommand.ShouldBe(["./say", "bye"]);
        process.SuccessCodes.ShouldBe([0, 3]);
        process.FatalCodes.ShouldBeEmpty();
        process.Limits.ShouldBe(new ProcessLimits(1_000_000_000, 50, 1.5, 256, 5));
        (process.Log.MaxBytes, process.Log.Keep, process.Log.Timestamps, process.Log.Format, process.Log.StripAnsi).ShouldBe((1_000_000, 2, false, LineFormat.Json, false));
        (process.Environment["GREETING"], process.Environment["SPOT"]).ShouldBe(("hi", "/project/x-run-1"));
        using var config = JsonDocument.Parse(process.Environment["LOOM_AGENT_CONFIG"]);
        config.RootElement.GetRawText().ShouldBe(
            """{"topics":["a.b"],"thinking_strategy":"deep","max_iterations":9,"config":{"depth":3,"where":{"on":true,"names":["x",1.5]}}}""");
    }

    [Fact]
    public void Plan_Shorthands_StandForTheirTables()
    {
        var plan = new PlannedProject("""
            [agents.a]
            command = "echo one, two && echo three"
            shell = true
            restart = "never"
            [agents.b]
            restart = "always"
            depends_on = ["a"]
            watch = true
            inherit_env = ["HOME"]
            [agents.c]
            command = ["c"]
            watch = false
            inherit_env = false
            llm_provider = "far"
            [llm.far]
            api_base = "http://far.example/v1"
            model = "big"
            api_key = "sk-far-12345"
            """).File("agents/b.py").EnvFile("FROM_FILE=1\n").Variable("OTHER", "x").Plan();
        plan.Agents[0].Processes[0].Command.ShouldBe(["/bin/sh", "-c", "echo one, two && echo three"]);
        plan.Agents[0].Processes[0].Restart.When.ShouldBe(RestartWhen.Never);
        plan.Agents[1].Processes[0].Restart.When.ShouldBe(RestartWhen.Always);
        plan.Agents[1].DependsOn.ShouldBe([new Dependency("a", DependencyKind.Agent, DependencyCondition.Ready)]);
        var watch = plan.Agents[1].Watch.ShouldNotBeNull();
        watch.Paths.ShouldBe(["/project/agents"]);
        watch.Check.ShouldBe(["/usr/bin/python3", "-m", "py_compile", "/project/agents/b.py"]);
        watch.Debounce.ShouldBe(TimeSpan.FromMilliseconds(300));
        new[] { "HOME", "FROM_FILE" }.ShouldBeSubsetOf(plan.Agents[1].Processes[0].Environment.Keys);
        plan.Agents[1].Processes[0].Environment.ShouldNotContainKey("OTHER");
        plan.Agents[2].Watch.ShouldBeNull();
        var environment = plan.Agents[2].Processes[0].Environment;
        environment.ShouldNotContainKey("HOME");
        environment["FROM_FILE"].ShouldBe("1");
        (environment["LOOM_LLM_API_BASE"], environment["LOOM_LLM_MODEL"], environment["LOOM_LLM_API_KEY"]).ShouldBe(("http://far.example/v1", "big", "sk-far-12345"));
        plan.Agents[0].Processes[0].Environment["LOOM_LLM_MODEL"].ShouldBe("big");
        plan.Agents[2].Processes[0].Log.Secrets.Values.ShouldContain("sk-far-12345");
    }

    [Fact]
    public void Plan_OneScript_IsOnlyThatAndNeverRestarted()
    {
        var project = new PlannedProject("[agents.other]\ncommand = [\"x\"]\n[agents.Tool]\n").File("bin/My Tool.py");
        project.Surroundings = project.Surroundings with { Kind = RosterKind.Script, Scripts = ["/project/bin/My Tool.py"], ScriptArguments = ["-v"] };
        var agent = project.Planning().Plan.Agents.ShouldHaveSingleItem();
        (agent.Name, agent.IsMain).ShouldBe(("my-tool", true));
        var process = agent.Processes.ShouldHaveSingleItem();
        process.Command.ShouldBe(["/usr/bin/python3", "/project/bin/My Tool.py", "-v"]);
        process.Restart.When.ShouldBe(RestartWhen.Never);
        process.Console.ShouldBe(ProcessConsole.Terminal);
    }

    [Theory]
    [InlineData(RosterKind.Script, 0, false)]
    [InlineData(RosterKind.ProjectWithMain, 0, true)]
    [InlineData(RosterKind.ProjectWithMain, 2, true)]
    public void Plan_Main_IsOneAndHasNoProbeThatCannotWork(RosterKind kind, int replicas, bool log)
    {
        var project = new PlannedProject($$"""
            [agents.main]
            script = "main.py"
            replicas = {{replicas}}
            ready = { log = "up" }
            """).File("main.py");
        project.Surroundings = project.Surroundings with { Kind = kind, Scripts = kind == RosterKind.Script ? ["/project/main.py"] : [] };
        var process = project.Planning().Plan.Agents.Single(a => a.IsMain).Processes.ShouldHaveSingleItem();
        process.Name.ShouldBe("main");
        (process.Ready?.Check is ProbeCheck.Log).ShouldBe(log); // a terminal's lines are not read
    }

    [Fact]
    public void Plan_ExampleOfTheConfigurationSpec_LoadsUnchanged()
    {
        var project = new PlannedProject("""
            [llm.deepseek]
            base_url = "https://api.deepseek.com/v1"
            api_key = "${DEEPSEEK_API_KEY}"
            [mcp.brave]
            command = "npx"
            args = ["-y", "@modelcontextprotocol/server-brave-search"]
            env = { BRAVE_API_KEY = "${BRAVE_API_KEY}" }
            [agents.researcher]
            script = "agents/researcher.py"
            depends_on = ["mcp.brave"]
            restart = { policy = "on-failure", backoff = "1s..30s" }
            """).File("agents/researcher.py").Variable("DEEPSEEK_API_KEY", "sk-123456789").Variable("BRAVE_API_KEY", "b-2");
        project.Told().ShouldHaveSingleItem().ShouldBe("warning 042 agents.researcher.depends_on: R11: this version starts no MCP servers, so the agent does not wait for it");
        var agent = project.Plan().Agents.ShouldHaveSingleItem();
        agent.DependsOn.ShouldBeEmpty();
        agent.Processes[0].Restart.BackoffMax.ShouldBe(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public void Plan_DisabledAgent_IsNeitherExpandedNorPlanned()
    {
        var project = new PlannedProject("""
            [agents.off]
            enabled = "${ON:-false}"
            command = ["x"]
            [agents.away]
            enabled = false
            script = "${NOWHERE}/a.py"
            ready = { http = "${URL}", within = "${SOON}" }
            replicas = "${MANY}"
            env = { KEY = "${UNSET}" }
            """);
        project.Told().ShouldBeEmpty();
        project.Plan().Agents.ShouldBeEmpty();
    }

    [Fact]
    public void Plan_ShorthandsOnTheCommandLine_StandForTheirTables()
    {
        var project = new PlannedProject().File("agents/a.py").File("agents/b.py").File("agents/c.py")
            .Set("agents.a.restart", "always").Set("agents.a.watch", "on").Set("agents.b.watch", "no").Set("agents.a.depends_on", "b, c");
        var plan = project.Plan();
        var agent = plan.Agents.Single(a => a.Name == "a");
        agent.Processes[0].Restart.When.ShouldBe(RestartWhen.Always);
        agent.Watch.ShouldNotBeNull();
        agent.DependsOn.Select(d => (d.Target, d.Until)).ShouldBe([("c", DependencyCondition.Ready), ("b", DependencyCondition.Ready)], ignoreOrder: true);
        plan.Agents.Single(a => a.Name == "b").Watch.ShouldBeNull();
        new PlannedProject().File("agents/a.py").Set("agents.a.restart", "perhaps").Told().ShouldBe(["021 agents.a.restart.policy: not one of: never, on-failure, always"]);
    }
}
