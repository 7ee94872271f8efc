using System.Collections.Immutable;
using Loom.Agents.Binaries;
using Loom.Agents.Plans;
using Loom.Agents.Settings;
using Loom.Cli.Composition;
using Loom.Control;
using Loom.Core.Settings;
using Loom.Harness.Architecture;
using Loom.Node;
using Loom.Node.Link;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

/// <summary>A documented name that nothing reads is a promise nobody keeps.</summary>
public sealed class UnreadSettingsTests
{
    // Read by the load itself, or labels that people write for people.
    private static readonly string[] s_readElsewhere = ["project.dir", "runtime.env_file", "auth.token_file", "telemetry.log", "telemetry.otlp_endpoint", "name", "version", "description"];

    // Checked and shown, and read by the parts of a later version: docs/decisions/0006.
    private static readonly Setting[] s_shown = [.. BridgeSettings.All, .. DashboardSettings.All, .. McpSettings.All, .. ToolSettings.All];

    [Fact]
    public void Parts_Composed_ReadEverySetting()
    {
        var load = new TestLoad(LoomRegistry.Instance).Variable("K", "v").Toml($$"""
            [auth.keys.app]
            sha256 = "{{new string('a', 64)}}"
            [serving.engines.far]
            kind = "openai"
            provider = "deepseek"
            env.A = "b"
            [serving.pools.chat]
            engine = "far"
            [serving.pools.local]
            models = ["m"]
            [models.m]
            source = "file:/m.gguf"
            [llm.deepseek]
            extra.seed = 1
            base_url = "https://host/v1"
            headers.X = "$" 
            [llm.other]
            base_url = "https://host/v1"
            api_key_env = "K"
            [agents.writer]
            command = ["writer"]
            watch = { paths = ["src"] }
            topics = ["a"]
            config.depth = 3
            env.B = "c"
            ports.http = 0
            depends_on = ["pools.chat"]
            ready.http = "http://127.0.0.1:${port.http}"
            [agents.reader]
            script = "reader.py"
            ready.log = "up"
            [binaries.tool]
            path = "tool"
            [[harness.systems]]
            path = "orders"
            [[harness.systems]]
            path = "returns"
            deployment = "returns/night.yaml"
            autostart = false
            """);
        load.Files.AddProgram("/usr/bin/python3").Add("/project/reader.py", "");
        var result = load.Load();
        result.Ok.ShouldBeTrue();
        RuntimeOptions.From(result.Snapshot);
        BinaryOptions.From(result.Snapshot);
        ControlOptions.From(result.Snapshot);
        NodeOptions.From(result.Snapshot, new NodeSurroundings("/loom", "/logs", null, ImmutableDictionary<string, string>.Empty));
        LinkOptions.From(result.Snapshot);
        HarnessOptions.From(result.Snapshot);
        ListedSystem.From(result.Snapshot).ShouldBe([new("/project/orders", null, true), new("/project/returns", "/project/returns/night.yaml", false)]);
        ProjectPlanner.Plan(result.Snapshot, load.Files, new PlanSurroundings { RunId = "run", FreePort = _ => 1, ApiBase = "http://127.0.0.1:8080/v1" }).Faults.ShouldBeEmpty();

        // A default such as {paths.models_dir} reads the setting it names.
        var named = LoomRegistry.Instance.All.SelectMany(s => s.Default.Split('{').Skip(1)).Select(d => d[..d.IndexOf('}', StringComparison.Ordinal)]);
        LoomRegistry.Instance.All.Select(s => s.Key).Except(result.Snapshot.Reads).Except(s_readElsewhere).Except(s_shown.Select(s => s.Key)).Except(named).ShouldBeEmpty();
    }
}
