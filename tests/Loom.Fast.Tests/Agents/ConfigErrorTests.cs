using Loom.Cli.Config;
using Loom.Processes;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Agents;

/// <summary>Every configuration error about a project, letter by letter as it is printed: file, line, column, what is allowed, a way out.</summary>
public sealed class ConfigErrorTests
{
    [Fact]
    public void UnknownPolicy_OfAShorthand_IsToldAsWritten() => Told("""
        [agents.researcher]
        script = "agents/researcher.py"
        restart = "on-fail"
        """, """
        loom.toml:3:11: error CFG021 agents.researcher.restart
          3 | restart = "on-fail"
            |           ^^^^^^^^^ not one of: never, on-failure, always
          fix: restart = "on-failure"
        """, p => p.File("agents/researcher.py"));

    [Fact]
    public void Circle_OfThree_NamesEachEdgeWithItsPlace() => Told("""
        [agents.a]
        command = ["a"]
        depends_on = ["b"]
        [agents.b]
        command = ["b"]
        depends_on = { c = "started" }
        [agents.c]
        command = ["c"]
        depends_on = ["d", "a"]
        [agents.d]
        command = ["d"]
        """, """
        loom.toml:3:15: error CFG042 agents.a.depends_on
          3 | depends_on = ["b"]
            |               ^^^ R11: the agents wait for each other in a circle: a -> b (loom.toml:3:15), b -> c (loom.toml:6:20), c -> a (loom.toml:9:20)
          fix: take one of them out
        """);

    [Fact]
    public void Circle_OfOne_IsACircle() => Told("""
        [agents.a]
        command = ["a"]
        depends_on = { a = "ready" }
        """, """
        loom.toml:3:20: error CFG042 agents.a.depends_on.a
          3 | depends_on = { a = "ready" }
            |                    ^^^^^^^ R11: the agents wait for each other in a circle: a -> a (loom.toml:3:20)
          fix: take one of them out
        """);

    [Fact]
    public void Dependency_OnNobody_NamesTheNearest() => Told("""
        [agents.writer]
        command = ["w"]
        depends_on = ["reeder", "mcp.brive", "pools.chat"]
        [agents.reader]
        command = ["r"]
        [mcp.brave]
        command = "npx"
        """, """
        loom.toml:3:15: error CFG042 agents.writer.depends_on
          3 | depends_on = ["reeder", "mcp.brive", "pools.chat"]
            |               ^^^^^^^^ R11: there is no agent 'reeder'
          fix: did you mean 'reader'? Otherwise add [agents.reeder]
        loom.toml:3:25: error CFG042 agents.writer.depends_on
          3 | depends_on = ["reeder", "mcp.brive", "pools.chat"]
            |                         ^^^^^^^^^^^ R11: there is no MCP server 'brive'
          fix: did you mean 'mcp.brave'? Otherwise add [mcp.brive]
        loom.toml:3:38: error CFG042 agents.writer.depends_on
          3 | depends_on = ["reeder", "mcp.brive", "pools.chat"]
            |                                      ^^^^^^^^^^^^ R11: there is no pool 'chat'
          fix: add [serving.pools.chat]
        """);

    [Fact]
    public void Dependency_ThatCannotCome_IsRefused() => Told("""
        [serving.pools.chat]
        [agents.a]
        command = ["a"]
        depends_on = { b = "ready", "pools.chat" = "ended" }
        [agents.b]
        command = ["b"]
        enabled = false
        """, """
        loom.toml:4:20: error CFG042 agents.a.depends_on.b
          4 | depends_on = { b = "ready", "pools.chat" = "ended" }
            |                    ^^^^^^^ R11: 'b' is not enabled, so it never gets there
          fix: enable it, or take it out of depends_on of 'a'
        loom.toml:4:44: error CFG042 agents.a.depends_on."pools.chat"
          4 | depends_on = { b = "ready", "pools.chat" = "ended" }
            |                                            ^^^^^^^ R11: a pool does not end by itself
          fix: wait for started or ready
        """);

    [Fact]
    public void Dependency_OnAnMcpServer_IsAWarning() => Told("""
        [agents.a]
        command = ["a"]
        depends_on = ["mcp.brave"]
        [mcp.brave]
        command = "npx"
        """, """
        loom.toml:3:15: warning CFG042 agents.a.depends_on
          3 | depends_on = ["mcp.brave"]
            |               ^^^^^^^^^^^ R11: this version starts no MCP servers, so the agent does not wait for it
        """);

    [Fact]
    public void Script_ThatIsMissing_IsNamed() => Told("""
        [agents.a]
        script = "agents/a.py"
        [agents.b]
        script = "agents"
        [agents.c]
        """, """
        loom.toml:2:10: error CFG002 agents.a.script
          2 | script = "agents/a.py"
            |          ^^^^^^^^^^^^^ there is no file agents/a.py
          fix: create it, or name another script
        loom.toml:4:10: error CFG002 agents.b.script
          4 | script = "agents"
            |          ^^^^^^^^ agents is a folder
          fix: name the script in it
        loom.toml:5:9: error CFG042 agents.c
          5 | [agents.c]
            |         ^ R10: nothing to run: no script and no command, and there is no agents/c.py or the like
          fix: script = "agents/...", or command = [..]
        """, p => p.Files.AddFolder("/project/agents"));

    [Fact]
    public void Interpreter_ThatIsMissing_IsNamed() => Told("""
        [agents.a]
        script = "a.lua"
        [agents.b]
        script = "b"
        [agents.c]
        """, """
        loom.toml:2:10: error CFG002 agents.a.script
          2 | script = "a.lua"
            |          ^^^^^^^ a.lua: no interpreter is known for .lua
          fix: command = ["PROGRAM", "a.lua"]
        loom.toml:4:10: error CFG002 agents.b.script
          4 | script = "b"
            |          ^^^ b: no interpreter is known for it: it has no extension, and is not an executable file that begins with #!
          fix: chmod +x b, or command = [..]
        loom.toml:5:9: error CFG002 agents.c
          5 | [agents.c]
            |         ^ agents/c.mjs: there is no node on PATH
          fix: install Node.js, or write command = [..]
        agents/d.py: error CFG002 agents.d
          agents/d.py: there is no python3 on PATH
          fix: install Python 3, or write command = [..]
        """, p => p.File("a.lua").File("b").File("agents/c.mjs").File("agents/d.py").Variable("PATH", "/elsewhere"));

    [Fact]
    public void Command_GivenTwiceOrAsText_IsRefused() => Told("""
        [agents.a]
        command = ["a"]
        script = "a.py"
        [agents.b]
        command = "echo hello"
        [agents.c]
        command = ["echo", "hello"]
        shell = true
        [agents.d]
        command = ["d"]
        args = ["-v"]
        """, """
        loom.toml:3:10: error CFG042 agents.a.script
          3 | script = "a.py"
            |          ^^^^^^ R10: command and script are both given
          fix: keep one of them
        loom.toml:5:11: error CFG042 agents.b.command
          5 | command = "echo hello"
            |           ^^^^^^^^^^^^ R10: a command text needs a shell
          fix: command = ["echo", "hello"], or shell = true
        loom.toml:8:9: error CFG042 agents.c.shell
          8 | shell = true
            |         ^^^^ R10: with shell the command is one text, not a list
          fix: command = "echo one && echo two"
        loom.toml:11:8: error CFG042 agents.d.args
          11 | args = ["-v"]
             |        ^^^^^^ R10: args belong to a script
          fix: put them into command
        """, p => p.File("a.py"));

    [Fact]
    public void Names_OutsideTheGrammarOrTaken_AreRefused() => Told("""
        [agents.Writer]
        command = ["w"]
        [agents.runtime]
        command = ["r"]
        [mcp."a b"]
        command = "npx"
        """, """
        loom.toml:1:9: error CFG020 agents.Writer
          1 | [agents.Writer]
            |         ^^^^^^ 'Writer' cannot be the name of an agent: a name is a-z, 0-9, _ and -, at most 63 characters, and begins with a letter or a digit
          fix: [agents.writer]
        loom.toml:3:9: error CFG020 agents.runtime
          3 | [agents.runtime]
            |         ^^^^^^^ 'runtime' is the name of a part of Loom
          fix: [agents.script-runtime]
        loom.toml:5:6: error CFG020 mcp."a b"
          5 | [mcp."a b"]
            |      ^^^^^ 'a b' cannot be the name of an MCP server: a name is a-z, 0-9, _ and -, at most 63 characters, and begins with a letter or a digit
          fix: [mcp.a-b]
        """);

    [Fact]
    public void TwoScripts_OfOneId_NameBoth() => Told("""
        [agents.a]
        script = "other/a.py"
        """, """
        loom.toml:2:10: error CFG042 agents.a.script
          2 | script = "other/a.py"
            |          ^^^^^^^^^^^^ R11: other/a.py and agents/a.py are both the agent 'a'
          fix: rename one of them, or give the table another name
        agents/b.py: error CFG042 agents.b
          R11: agents/b.js and agents/b.py are both the agent 'b'
          fix: rename one of them
        """, p => p.File("other/a.py").File("agents/a.py").File("agents/b.js").File("agents/b.py"));

    [Fact]
    public void Ports_ThatClash_AreRefused() => Told("""
        [agents.a]
        command = ["a", "${port.htp}"]
        ports = { http = 8000 }
        [agents.b]
        command = ["b"]
        ports = { web = 8000, side = 9000 }
        replicas = 2
        [agents.b-2]
        command = ["x"]
        """, """
        loom.toml:2:11: error CFG031 agents.a.command
          2 | command = ["a", "${port.htp}"]
            |           ^^^^^^^^^^^^^^^^^^^^ there is no port 'htp'
          fix: ports = { htp = 0 } in [agents.a]
        loom.toml:6:17: error CFG042 agents.b.ports.web
          6 | ports = { web = 8000, side = 9000 }
            |                 ^^^^ R7: port 8000 is also that of agents.a.ports.http
          fix: give one of them another port, or 0 for any free one
        loom.toml:6:30: error CFG042 agents.b.ports.side
          6 | ports = { web = 8000, side = 9000 }
            |                              ^^^^ R7: 2 copies cannot share port 9000
          fix: side = 0: each copy gets its own
        loom.toml:7:12: error CFG042 agents.b.replicas
          7 | replicas = 2
            |            ^ R11: copy 2 of 'b' would be called 'b-2', as another agent is
          fix: rename one of them
        """);

    [Fact]
    public void Ports_OfLoomItself_AreTaken() => Told("""
        [serving]
        bind = "127.0.0.1:8085"
        [agents.a]
        command = ["a"]
        ports = { http = 8085, in-a = 0, in_a = 0 }
        """, """
        loom.toml:5:18: error CFG042 agents.a.ports.http
          5 | ports = { http = 8085, in-a = 0, in_a = 0 }
            |                  ^^^^ R7: the port is also that of serving.bind
          fix: give one of them another port, or 0 for any free one
        loom.toml:5:41: error CFG042 agents.a.ports.in_a
          5 | ports = { http = 8085, in-a = 0, in_a = 0 }
            |                                         ^ R11: 'in_a' and 'in-a' are both LOOM_PORT_IN_A
          fix: rename one of them
        """);

    [Fact]
    public void Probes_ThatCannotWork_AreRefused() => Told("""
        [agents.a]
        command = ["a"]
        ready = { log = "up(", within = "5s" }
        live = { tcp = "127.0.0.1:80", exec = ["true"] }
        [agents.b]
        command = ["b"]
        ready = { every = "1s" }
        live = { http = "http://127.0.0.1/", status = [399, 200] }
        """, """
        loom.toml:3:17: error CFG020 agents.a.ready.log
          3 | ready = { log = "up(", within = "5s" }
            |                 ^^^^^ not a regular expression: Invalid pattern 'up(' at offset 3. Not enough )'s.
          fix: escape special characters with \\, or quote with '...'
        loom.toml:4:39: error CFG042 agents.a.live.exec
          4 | live = { tcp = "127.0.0.1:80", exec = ["true"] }
            |                                       ^^^^^^^^ R10: two kinds of probe: tcp and exec
          fix: keep one of them
        loom.toml:7:19: error CFG042 agents.b.ready.every
          7 | ready = { every = "1s" }
            |                   ^^^^ R10: ready says nothing to look at
          fix: add one of http, tcp, exec and log
        loom.toml:8:47: error CFG042 agents.b.live.status
          8 | live = { http = "http://127.0.0.1/", status = [399, 200] }
            |                                               ^^^^^^^^^^ R12: the first status, 399, is above the last, 200
          fix: status = [200, 399]
        """);

    [Fact]
    public void RestAboutAgents_IsRefused() => Told("""
        [agents.a]
        command = ["a"]
        llm = "deepsek"
        restart = { backoff = "1m..1s" }
        watch = true
        env_file = ["missing.env"]
        [llm.deepseek]
        base_url = "https://api.deepseek.com/v1"
        [agents.b]
        command = ["b"]
        watch = "perhaps"
        depends_on = 3
        restart = 3
        ready.tcp = "nowhere"
        ready.within = "soon"
        """, """
        loom.toml:3:7: error CFG042 agents.a.llm
          3 | llm = "deepsek"
            |       ^^^^^^^^^ R11: there is no provider 'deepsek'
          fix: did you mean 'deepseek'? Otherwise add [llm.deepsek]
        loom.toml:4:23: error CFG042 agents.a.restart.backoff
          4 | restart = { backoff = "1m..1s" }
            |                       ^^^^^^^^ R12: the first delay of 1m..1s is above the last
          fix: backoff = "1s..60s"
        loom.toml:5:9: error CFG042 agents.a.watch
          5 | watch = true
            |         ^^^^ R10: a command has no folder of its own to watch
          fix: watch = { paths = ["src"] }
        loom.toml:6:12: error CFG002 agents.a.env_file
          6 | env_file = ["missing.env"]
            |            ^^^^^^^^^^^^^^^ there is no env file missing.env
          fix: create it, or take it out of the list
        loom.toml:11:9: error CFG020 agents.b.watch
          11 | watch = "perhaps"
             |         ^^^^^^^^^ expected true, false or a table
          fix: watch = true
        loom.toml:12:14: error CFG020 agents.b.depends_on
          12 | depends_on = 3
             |              ^ expected a list of texts or a table
        loom.toml:13:11: error CFG020 agents.b.restart
          13 | restart = 3
             |           ^ expected a text or a table
        loom.toml:14:13: error CFG020 agents.b.ready.tcp
          14 | ready.tcp = "nowhere"
             |             ^^^^^^^^^ expected host:port, for example 127.0.0.1:8080 or [::1]:8080
        loom.toml:15:16: error CFG020 agents.b.ready.within
          15 | ready.within = "soon"
             |                ^^^^^^ expected a duration from 0.1 to 86400 (s), such as 1m30s
          fix: within = 60
        """);

    [Fact]
    public void BridgeDashboardAndServers_ThatContradict_AreRefused() => Told("""
        [bridge]
        address = "0.0.0.0:3030"
        auth = "none"
        tls_cert = "cert.pem"
        max_event_bytes = "8MiB"
        timeout_sec = 700
        [dashboard]
        host = "0.0.0.0"
        [mcp.a]
        [mcp.b]
        command = "npx"
        url = "https://mcp.example.com/mcp"
        [mcp.c]
        enabled = false
        [mcp.d]
        url = "${URL}"
        enabled = false
        """, """
        loom.toml:2:11: error CFG042 bridge.address
          2 | address = "0.0.0.0:3030"
            |           ^^^^^^^^^^^^^^ R3: 0.0.0.0:3030 can be reached from other machines, and there is no token
          fix: set LLORCH_API_TOKEN, or bind to 127.0.0.1
        loom.toml:2:11: error CFG042 bridge.address
          2 | address = "0.0.0.0:3030"
            |           ^^^^^^^^^^^^^^ R7: port 3030 is also that of dashboard.port
          fix: give one of them another port, or 0 for any free one
        loom.toml:3:8: error CFG042 bridge.auth
          3 | auth = "none"
            |        ^^^^^^ R10: without a token only loopback may be served, not 0.0.0.0:3030
          fix: auth = "token"
        loom.toml:4:12: error CFG042 bridge.tls_cert
          4 | tls_cert = "cert.pem"
            |            ^^^^^^^^^^ R10: tls_cert needs tls_key
          fix: tls_key = "PATH" in [bridge]
        loom.toml:5:19: error CFG042 bridge.max_event_bytes
          5 | max_event_bytes = "8MiB"
            |                   ^^^^^^ R12: the largest event is larger than the largest message
          fix: max_event_bytes below max_message_bytes
        loom.toml:6:15: error CFG042 bridge.timeout_sec
          6 | timeout_sec = 700
            |               ^^^ R12: the default time of a tool call is above the longest
          fix: timeout_sec up to tool_timeout_max
        loom.toml:8:8: error CFG042 dashboard.host
          8 | host = "0.0.0.0"
            |        ^^^^^^^^^ R3: 0.0.0.0 can be reached from other machines, and there is no token
          fix: set LLORCH_API_TOKEN, or host = "127.0.0.1"
        loom.toml:9:6: error CFG042 mcp.a
          9 | [mcp.a]
            |      ^ R10: nothing to start or to connect to
          fix: command = "PROGRAM", or url = "https://..."
        loom.toml:12:7: error CFG042 mcp.b.url
          12 | url = "https://mcp.example.com/mcp"
             |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ R10: command and url are both given
          fix: keep one of them
        """);

    [Fact]
    public void Limits_ThatCannotBeHeld_AreWarnings() => Told("""
        [agents.a]
        command = ["a"]
        limits = { memory = "1GB", pids = 20, cpu = 0.5, nofile = 64 }
        """, """
        loom.toml:3:35: warning CFG042 agents.a.limits.pids
          3 | limits = { memory = "1GB", pids = 20, cpu = 0.5, nofile = 64 }
            |                                   ^^ this limit cannot be held here: the cgroup controller 'pids' is not available to this program
        """, p => p.Cgroups = new CgroupSupport("/g", ["memory", "cpu"], null));

    [Fact]
    public void BuiltIns_ThatDoNotExist_AreRefused() => Told("""
        [agents.a]
        command = ["a", "${agent.id}", "${agent.name}"]
        [llm.x]
        base_url = "https://${agent.name}/"
        """, """
        loom.toml:2:18: error CFG031 agents.a.command
          2 | command = ["a", "${agent.id}", "${agent.name}"]
            |                  ^^^^^^^^^^^ no such built-in; known are ${agent.name}, ${agent.replica}, ${project.dir}, ${port.NAME} and ${run.id}
          fix: write $${ for a literal ${
        loom.toml:4:21: error CFG031 llm.x.base_url
          4 | base_url = "https://${agent.name}/"
            |                     ^^^^^^^^^^^^^ not a reference; known are ${NAME}, ${NAME:-text} and ${NAME:?message}
          fix: write $${ for a literal ${
        """);

    private static void Told(string toml, string expected, Action<PlannedProject>? prepare = null)
    {
        var project = new PlannedProject(toml);
        prepare?.Invoke(project);
        var text = FaultText.Write(project.Load(), starting: false);
        text[(text.IndexOf('\n', StringComparison.Ordinal) + 1)..].TrimEnd('\n').Split('\n').ShouldBe(expected.Split('\n'));
    }
}
