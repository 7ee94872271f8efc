using System.Diagnostics;
using System.Net;
using System.Text.Json;
using System.Xml.Linq;
using Loom.Harness.Api;
using Loom.Testing;
using Loom.Testing.Telemetry;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Signals;

/// <summary>Items 13 and 17 of the specification, on a running system.</summary>
public sealed class ApiTests
{
    // A source that goes on, two streams, and what stands in between is told by the test.
    private static string Line(string name, string middle) => $$"""
        schema_version: "1.0.0"
        system: { name: {{name}}, version: 1.0.0 }
        components:
          - { name: numbers, type: Source, uses: generate, config: { rate: 50 } }
        {{middle}}
          - { name: store, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
        bindings: [ { from: numbers.out, to: work.in }, { from: work.out, to: store.in } ]
        """;

    private const string Work = "  - { name: work, type: Transformer, uses: map, config: { set: { twice: data.n * 2 } } }";

    [Fact]
    public async Task Routes_WithoutToken_401AlsoOnLoopback()
    {
        await using var system = await RunningSystem.StartAsync(Line("closed", Work));
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = system.Address, Timeout = RunningLoom.Deadline };
        var routes = HarnessApi.Actions.Select(a => (a.Method, Path: $"/v2/harness/systems/closed{a.Path.Replace("{component}", "work", StringComparison.Ordinal)}"))
            .Append(("GET", "/v2/harness/systems")).Append(("GET", "/metrics")).Append(("POST", "/v2/harness/systems/closed/reload")).ToList();
        routes.Count.ShouldBeGreaterThan(18);
        foreach (var (method, path) in routes)
        {
            using var without = await client.SendAsync(new HttpRequestMessage(new HttpMethod(method), path));
            without.StatusCode.ShouldBe(HttpStatusCode.Unauthorized, $"{method} {path}");
            using var wrong = new HttpRequestMessage(new HttpMethod(method), path) { Headers = { { "Authorization", "Bearer guess" } } };
            using var refused = await client.SendAsync(wrong);
            refused.StatusCode.ShouldBe(HttpStatusCode.Unauthorized, $"{method} {path}");
        }

        foreach (var path in new[] { "/health/live", "/health/ready" })
        {
            await RunningSystem.UntilAsync(async () => (await client.GetAsync(path)).StatusCode == HttpStatusCode.OK, path);
        }
    }

    [Fact]
    public async Task Routes_WithToken_ShowWhatTheySayAndRefuseWhatTheStateForbids()
    {
        await using var system = await RunningSystem.StartAsync(Line("open", Work));
        await RunningSystem.UntilAsync(async () => (await system.GetAsync("/health")).GetProperty("ready").GetBoolean(), "it is ready");
        (await system.GetAsync("/components/work")).GetProperty("state").GetString().ShouldBe("running");
        (await system.GetAsync("/lock")).GetProperty("inputs").EnumerateObject().Select(i => i.Name).ShouldBe(["architecture.yaml"]);
        (await system.GetAsync("/lock")).GetProperty("unlocked").GetBoolean().ShouldBeTrue();
        (await system.GetAsync("/instances")).GetProperty("instances").EnumerateArray().Single().GetProperty("address").GetString().ShouldBe(system.Address.GetLeftPart(UriPartial.Authority));
        (await system.GetAsync("/errors")).GetProperty("errors").GetArrayLength().ShouldBe(0);
        (await system.GetAsync("/alerts")).GetProperty("alerts").EnumerateArray().ShouldAllBe(a => a.GetProperty("built_in").GetBoolean());
        await RunningSystem.UntilAsync(
            async () => (await system.GetAsync("/capabilities")).GetProperty("capabilities").EnumerateArray().Any(c =>
                c.GetProperty("component").GetString() == "work" && c.GetProperty("capability").GetString() == "Metrics" && c.GetProperty("p99_ms").GetDouble() > 0),
            "the work is timed");
        (await system.AskAsync("/components/work/resume")).Status.ShouldBe(HttpStatusCode.Conflict);
        (await system.AskAsync("/components/nobody/pause")).Status.ShouldBe(HttpStatusCode.NotFound);
        (await system.AskAsync("/components/work/pause")).Status.ShouldBe(HttpStatusCode.OK);
        (await system.AskAsync("/dead-letters/retry", """{"component":"work"}""")).Status.ShouldBe(HttpStatusCode.Conflict);
        (await system.AskAsync("/dead-letters/retry")).Body.ShouldBe("""{"sent":0,"kept":0,"not_tried":0}""");
        (await system.AskAsync("/components/work/resume")).Status.ShouldBe(HttpStatusCode.OK);
        (await system.AskAsync("/checkpoint")).Status.ShouldBe(HttpStatusCode.OK);
        var audit = await File.ReadAllLinesAsync(system.Folder[".loom/harness/open/audit.jsonl"]);
        audit.Count(l => l.Contains("/components/work/pause", StringComparison.Ordinal) && l.Contains("\"done\"", StringComparison.Ordinal)).ShouldBe(1);
        audit.Count(l => l.Contains("refused: ", StringComparison.Ordinal)).ShouldBe(3);
    }

    [Fact]
    public async Task Metrics_AfterEventsAndErrors_PromtoolHasNothingToSay()
    {
        await using var system = await RunningSystem.StartAsync(Line(
            "measured",
            """  - { name: work, type: Transformer, uses: map, config: { set: { half: 100 / (data.n % 2) } }, capabilities: [Retry, CircuitBreaker, Timeout], batching: { max_items: 4 } }"""));
        await RunningSystem.UntilAsync(async () => (await system.GetAsync("/errors")).GetProperty("total").GetInt64() > 3, "some events fail");
        (await system.AskAsync("/checkpoint")).Status.ShouldBe(HttpStatusCode.OK);

        var text = await system.MetricsAsync();

        foreach (var name in new[]
        {
            "items_total", "item_seconds_bucket", "stream_depth", "stream_capacity", "stream_blocked_seconds_total", "stream_starved_seconds_total", "capability_calls_total",
            "batch_size_bucket", "checkpoint_seconds_bucket", "checkpoint_bytes", "checkpoint_failures_total", "dead_letters_total", "component_state", "restarts_total",
        })
        {
            text.ShouldContain($"\nloom_harness_{name}{{", Case.Sensitive, name);
        }

        text.ShouldContain("outcome=\"dead_lettered\"");
        text.ShouldContain("loom_harness_dead_letters_total{system=\"measured\",code=\"");
        var promtool = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(folder => Path.Combine(folder, "promtool")).FirstOrDefault(File.Exists);
        Assert.SkipWhen(promtool is null, "promtool is not in PATH; ./test unpacks it");
        using var check = Process.Start(new ProcessStartInfo(promtool!, ["check", "metrics"]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        var said = check.StandardOutput.ReadToEndAsync();
        var complained = check.StandardError.ReadToEndAsync();
        await check.StandardInput.WriteAsync(text);
        check.StandardInput.Close();
        await check.WaitForExitAsync().WaitAsync(RunningLoom.Deadline);
        (await said + await complained).ShouldBe("");
        check.ExitCode.ShouldBe(0);
    }

    [Fact]
    public async Task Collector_OfARunningSystem_GetsTracesThroughEveryHopAndMetrics()
    {
        await using var collector = await CollectorDouble.StartAsync(grpc: false);
        await using var system = await RunningSystem.StartAsync(
            Line("exported", "  - { name: work, type: Transformer, uses: { command: [python3, pass.py], files: [pass.py] }, ports: { inputs: [ { name: in } ], outputs: [ { name: out } ] } }")
                + "\npolicy: { observability: { sample: 5 } }",
            folder => File.WriteAllText(folder["pass.py"], """
                import json, sys
                json.loads(sys.stdin.readline())
                say = lambda m: print(json.dumps(m), flush=True)
                say({"type": "ready", "v": 1})
                for line in sys.stdin:
                    m = json.loads(line)
                    if m["type"] == "item":
                        say({"type": "emit", "n": m["n"], "port": "out", "data": {"parent": m["headers"].get("traceparent")}})
                        say({"type": "metric", "name": "seen", "value": m["n"], "labels": {"kind": "item"}})
                        say({"type": "done", "n": m["n"]})
                    elif m["type"] == "ping":
                        say({"type": "pong"})
                    elif m["type"] == "cleanup":
                        say({"type": "bye"})
                        break
                """),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Endpoint), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_BSP_SCHEDULE_DELAY", "100"));
        string? ended = null;
        await Deadline.Until(
            () => (ended = collector.Spans.Where(s => s.Name == "store").Select(s => s.Trace).FirstOrDefault(t => collector.Spans.Count(s => s.Trace == t) >= 3)) is not null,
            "a trace has come to its end",
            RunningLoom.Deadline);
        // The first export pays for the connection, and on a busy machine more than the end has time for.
        await Deadline.Until(() => collector.Metrics.ContainsKey("loom_harness_items_total"), "the metrics are sent", RunningLoom.Deadline);
        var metrics = await system.MetricsAsync();
        metrics.ShouldContain("loom_harness_component_seen{system=\"exported\",component=\"work\",kind=\"item\"} ");
        (await system.DrainAsync()).ShouldBe(0, system.Err);

        var trace = collector.Spans.Where(s => s.Trace == ended).ToList();
        trace.Select(s => s.Name).Order().ShouldBe(["event numbers", "store", "work"]);
        trace.ShouldAllBe(s => s.Service == "loom-harness");
        var (id, root) = (trace[0].Trace, trace.Single(s => s.Name == "event numbers").Id);
        (await File.ReadAllTextAsync(system.Folder["out.jsonl"])).ShouldContain($"00-{id}-{root}-01");
        collector.Metrics.Keys.ShouldContain("loom_harness_item_seconds");
    }

    [Theory]
    [InlineData("middle", "work")]
    [InlineData("sink", "store")]
    [InlineData("none", null)]
    public async Task Bottleneck_OfPreparedSystems_NamedByApiAndPs(string which, string? expected)
    {
        var slow = """capabilities: [ { RateLimiter: { rate: 1, burst: 1 } } ], """;
        await using var system = await RunningSystem.StartAsync($$"""
            schema_version: "1.0.0"
            system: { name: {{which}}, version: 1.0.0 }
            components:
              - { name: numbers, type: Source, uses: generate, config: { {{(which == "none" ? "rate: 20" : "count: 100000")}} } }
              - { name: first, type: Transformer, uses: map, config: { set: { a: data.n } } }
              - { name: work, type: Transformer, uses: map, {{(which == "middle" ? slow : "")}}config: { set: { b: data.n } } }
              - { name: store, type: Sink, uses: jsonl_out, {{(which == "sink" ? slow : "")}}config: { path: out.jsonl } }
            bindings:
              - { from: numbers.out, to: first.in, buffer: 10 }
              - { from: first.out, to: work.in, buffer: 10 }
              - { from: work.out, to: store.in, buffer: 10 }
            """);
        await RunningSystem.UntilAsync(
            async () => (await system.GetAsync("/streams")).GetProperty("streams").EnumerateArray().Count(s => s.GetProperty("depth").GetInt64() >= 8) >= (which == "middle" ? 2 : which == "sink" ? 3 : 0), "it is full");

        await RunningSystem.UntilAsync(async () => (await system.GetAsync("/health")).GetProperty("bottleneck").GetString() == expected, $"{expected} is named");
        // A look is of one moment, and the next may find a stream just then emptier or fuller.
        await RunningSystem.UntilAsync(
            async () =>
            {
                var first = (await system.TypeAsync("ps", ".")).Out.Split('\n')[0];
                return expected is null ? first.Length > 0 && !first.Contains("waits for", StringComparison.Ordinal) : first.Contains($"waits for {expected}", StringComparison.Ordinal);
            },
            $"ps says who is waited for: {expected}");
        var (exit, drawn, error) = await system.TypeAsync("graph", ".", "--format", "svg");
        exit.ShouldBe(0, error);
        XDocument.Parse(drawn).Root!.Name.LocalName.ShouldBe("svg");
        (await system.TypeAsync("graph", ".")).Out.ShouldStartWith("flowchart");

        JsonElement live = default;
        await RunningSystem.UntilAsync(
            async () => (live = JsonElement.Parse((await system.TypeAsync("graph", ".", "--live", "--json")).Out)).GetProperty("bottleneck").GetString() == expected, "the graph says so");
        live.GetProperty("bindings").EnumerateArray().ShouldAllBe(b => b.GetProperty("live").GetProperty("capacity").GetInt64() == 10);
        await RunningSystem.UntilAsync(
            async () => XDocument.Parse((await system.TypeAsync("graph", ".", "--live", "--format", "svg")).Out).ToString().Contains("#c0392b", StringComparison.Ordinal) == expected is not null,
            "the picture shows it");
        (await system.TypeAsync("graph", ".", "--live")).Out.ShouldMatch("/s, \\d+ of 10");
    }
}
