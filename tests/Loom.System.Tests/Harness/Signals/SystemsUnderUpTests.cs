using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Signals;

/// <summary><c>[[harness.systems]]</c>: systems beside everything else that <c>loom up</c> runs.</summary>
public sealed class SystemsUnderUpTests
{
    private const string Listed = """

        [[harness.systems]]
        path = "orders"

        [[harness.systems]]
        path = "broken"

        [[harness.systems]]
        path = "later"
        autostart = false
        """;

    private static string Architecture(string name, string more = "") => $$"""
        schema_version: "1.0.0"
        system: { name: {{name}}, version: 1.0.0 }
        components:
          - { name: web, type: APIEndpoint, uses: http_in, config: { route: /{{name}} } }
          - { name: store, type: Sink, uses: jsonl_out, config: { path: out.jsonl{{more}} } }
        bindings: [ { from: web.out, to: store.in } ]
        """;

    private static async Task<string> ProjectAsync(string toml)
    {
        var folder = RunningLoom.NewFolder(toml + Listed);
        foreach (var (name, more) in new[] { ("orders", ""), ("broken", ""), ("later", "") })
        {
            Directory.CreateDirectory(Path.Combine(folder, name));
            await File.WriteAllTextAsync(Path.Combine(folder, name, "architecture.yaml"), Architecture(name, more));
            (await RunningLoom.RunAsync(folder, ["harness", "lock", name])).Exit.ShouldBe(0);
        }

        // Not what was locked: it must not run, and must not keep the others from running.
        await File.AppendAllTextAsync(Path.Combine(folder, "broken", "architecture.yaml"), "\n# another line\n");
        return folder;
    }

    private static HttpClient Client(RunningLoom loom)
    {
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = loom.Api, Timeout = RunningLoom.Deadline };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", loom.Token);
        return client;
    }

    [Theory]
    [InlineData("[serving]\nbind = \"127.0.0.1:0\"\n[telemetry]\nmetrics_port = 0\n", false)]
    [InlineData("[serving]\nbind = \"127.0.0.1:0\"\n[telemetry]\nmetrics_port = 0\n[serving.engines.m]\nkind = \"mock\"\n[serving.pools.demo]\nengine = \"m\"\n", true)]
    public async Task Up_ListedSystems_RunBesideTheRestAndDrainWithDown(string toml, bool serves)
    {
        var folder = await ProjectAsync(toml);
        await using var loom = RunningLoom.Launch(folder);
        await loom.WaitReadyAsync();
        using var client = Client(loom);

        var (exit, output, error) = await RunningLoom.RunAsync(folder, ["status", "--json"]);
        var systems = JsonElement.Parse(output).GetProperty("systems").EnumerateArray().ToDictionary(s => s.GetProperty("name").GetString()!, s => s.GetProperty("state").GetString());
        systems.ShouldBe(new Dictionary<string, string?> { ["orders"] = "running", ["broken"] = "failed", ["later"] = "stopped" }, error);
        JsonElement.Parse(output).GetProperty("pools").GetArrayLength().ShouldBe(serves ? 1 : 0);
        exit.ShouldNotBe(0, "one of them needs an operator");
        (await RunningLoom.RunAsync(folder, ["status"])).Out.ShouldContain("LH603");

        using (var posted = await client.PostAsync("/orders", new StringContent("""{"n":1}""", Encoding.UTF8, "application/json")))
        {
            posted.StatusCode.ShouldBe(HttpStatusCode.Accepted, "a system that runs takes its first request");
        }

        await RunningSystem.UntilAsync(
            async () => JsonElement.Parse(await client.GetStringAsync("/v2/harness/systems/orders/components/store")).GetProperty("done").GetInt64() == 1, "the order is stored");
        using var none = await client.GetAsync("/v2/harness/systems/broken/health");
        none.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        JsonElement.Parse(await client.GetStringAsync("/v2/harness/systems")).GetProperty("systems").GetArrayLength().ShouldBe(1);
        (await client.GetStringAsync("/metrics")).ShouldContain("loom_harness_items_total{system=\"orders\",component=\"store\",outcome=\"done\"} 1");
        var (_, shown, _) = await RunningLoom.RunAsync(folder, ["harness", "ps", "orders"]);
        shown.ShouldStartWith("orders 1.0.0: healthy");
        client.DefaultRequestHeaders.Authorization = null;
        using var refused = await client.GetAsync("/v2/harness/systems/orders/health");
        refused.StatusCode.ShouldBe(HttpStatusCode.Unauthorized);
        using var closed = await client.PostAsync("/orders", new StringContent("{}", Encoding.UTF8, "application/json"));
        closed.StatusCode.ShouldBe(HttpStatusCode.Unauthorized);

        (await RunningLoom.RunAsync(folder, ["down"])).Exit.ShouldBe(0);
        (await File.ReadAllTextAsync(Path.Combine(folder, "orders", "out.jsonl"))).Trim().ShouldBe("""{"n":1}""");
        File.Exists(Path.Combine(folder, "orders", ".loom", "harness", "orders", "run.json")).ShouldBeFalse();
    }

    private const string Small = "[serving]\nbind = \"127.0.0.1:0\"\n[telemetry]\nmetrics_port = 0\n";

    private static async Task<Dictionary<string, string>> StatesAsync(string folder) =>
        JsonElement.Parse((await RunningLoom.RunAsync(folder, ["status", "--json"])).Out).GetProperty("systems").EnumerateArray().ToDictionary(s => s.GetProperty("name").GetString()!, s => s.GetProperty("state").GetString()!);

    [Fact]
    public async Task Steer_SystemsByName_FailedOneIsBroughtBackAndOthersStopAndStart()
    {
        var folder = await ProjectAsync(Small);
        await using var loom = RunningLoom.Launch(folder);
        await loom.WaitReadyAsync();
        using var client = Client(loom);

        (await RunningLoom.RunAsync(folder, ["start", "broken", "--wait"])).Exit.ShouldBe(4, "it is still not what was locked");
        (await RunningLoom.RunAsync(folder, ["harness", "lock", "broken"])).Exit.ShouldBe(0);
        var (exit, _, error) = await RunningLoom.RunAsync(folder, ["start", "broken", "later", "--wait"]);
        exit.ShouldBe(0, error);
        (await StatesAsync(folder)).ShouldBe(new Dictionary<string, string> { ["orders"] = "running", ["broken"] = "running", ["later"] = "running" });
        using (var posted = await client.PostAsync("/broken", new StringContent("{}", Encoding.UTF8, "application/json")))
        {
            posted.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        }

        (exit, _, error) = await RunningLoom.RunAsync(folder, ["stop", "orders"]);
        (exit, error.Trim()).ShouldBe((0, "orders: stopped"));
        using (var gone = await client.PostAsync("/orders", new StringContent("{}", Encoding.UTF8, "application/json")))
        {
            gone.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        }

        (await RunningLoom.RunAsync(folder, ["restart", "orders", "broken", "--wait"])).Exit.ShouldBe(0);
        (await RunningLoom.RunAsync(folder, ["wait", "orders", "broken", "later", "--timeout", "60s"])).Exit.ShouldBe(0);
        (await RunningLoom.RunAsync(folder, ["logs", "orders"])).Err.ShouldContain("loom logs loom --grep orders");
        (await RunningLoom.RunAsync(folder, ["start", "order"])).Err.ShouldContain("did you mean orders?");
        (await RunningLoom.RunAsync(folder, ["down"])).Exit.ShouldBe(0);
        (await File.ReadAllTextAsync(Path.Combine(folder, "broken", "out.jsonl"))).Trim().ShouldBe("{}");
    }

    [Fact]
    public async Task Start_RunFileCouldNotBeWritten_FailsAndItsNameIsFree()
    {
        var folder = await ProjectAsync(Small);
        var inTheWay = Path.Combine(folder, "later", ".loom", "harness", "later", "run.json");
        Directory.CreateDirectory(inTheWay);
        await using var loom = RunningLoom.Launch(folder);
        await loom.WaitReadyAsync();

        (await RunningLoom.RunAsync(folder, ["start", "later", "--wait"])).Exit.ShouldNotBe(0);
        (await StatesAsync(folder))["later"].ShouldBe("failed");
        Directory.Delete(inTheWay);
        var (exit, _, error) = await RunningLoom.RunAsync(folder, ["start", "later", "--wait"]);

        exit.ShouldBe(0, error);
        (await StatesAsync(folder))["later"].ShouldBe("running");
        (await RunningLoom.RunAsync(folder, ["down"])).Exit.ShouldBe(0);
    }

    [Fact]
    public async Task Down_WhileSystemsAreSteered_EndsInOrder()
    {
        var folder = await ProjectAsync(Small);
        (await RunningLoom.RunAsync(folder, ["harness", "lock", "broken"])).Exit.ShouldBe(0);
        await using var loom = RunningLoom.Launch(folder);
        await loom.WaitReadyAsync();

        // Whether one of them is done, refused or finds nobody any more is a matter of moments; that the project comes down is not.
        var steering = Enumerable.Range(0, 6).Select(i => RunningLoom.RunAsync(folder, [i % 2 == 0 ? "restart" : "start", i % 3 == 0 ? "broken" : "orders", "later"])).ToList();
        await Task.WhenAny(steering);
        (await RunningLoom.RunAsync(folder, ["down"])).Exit.ShouldBe(0);
        await Task.WhenAll(steering);

        foreach (var name in new[] { "orders", "broken", "later" })
        {
            File.Exists(Path.Combine(folder, name, ".loom", "harness", name, "run.json")).ShouldBeFalse(name);
        }
    }

    [Fact]
    public async Task Apply_ListHasChanged_NewOnesRunAndOthersAreDrained()
    {
        // Nothing is listed at first, and nothing is served: the address is opened for the first system.
        var folder = await ProjectAsync(Small);
        var listed = await File.ReadAllTextAsync(Path.Combine(folder, "loom.toml"));
        await File.WriteAllTextAsync(Path.Combine(folder, "loom.toml"), listed.Replace(Listed, "", StringComparison.Ordinal));
        await using var loom = RunningLoom.Launch(folder);
        await loom.WaitReadyAsync();
        (await StatesAsync(folder)).ShouldBeEmpty();

        await File.WriteAllTextAsync(Path.Combine(folder, "loom.toml"), listed);
        (await RunningLoom.RunAsync(folder, ["up"])).Err.ShouldContain("orders: added in loom.toml or agents/, not in force");
        var (exit, _, error) = await RunningLoom.RunAsync(folder, ["up", "--apply"]);
        exit.ShouldBe(0, error);
        error.ShouldContain("orders: added");
        error.ShouldNotContain("takes effect after loom down");
        (await StatesAsync(folder)).ShouldBe(new Dictionary<string, string> { ["orders"] = "running", ["broken"] = "failed", ["later"] = "stopped" });

        // The first is gone, the second has been mended, the third runs with a deployment of its own.
        (await RunningLoom.RunAsync(folder, ["harness", "lock", "broken"])).Exit.ShouldBe(0);
        await File.WriteAllTextAsync(Path.Combine(folder, "later", "night.yaml"), "schema_version: \"1.0.0\"\nbinding_overrides: { \"web.out->store.in\": { buffer: 7 } }\n");
        await File.WriteAllTextAsync(Path.Combine(folder, "loom.toml"), Small + """

            [[harness.systems]]
            path = "broken"

            [[harness.systems]]
            path = "later"
            deployment = "later/night.yaml"
            """);
        (exit, _, error) = await RunningLoom.RunAsync(folder, ["up", "--apply"]);
        exit.ShouldBe(0, error);
        error.ShouldContain("orders: removed");
        error.ShouldContain("later: changed");
        (await StatesAsync(folder)).ShouldBe(new Dictionary<string, string> { ["broken"] = "running", ["later"] = "running" });
        (await RunningLoom.RunAsync(folder, ["harness", "ps", "later"])).Out.ShouldContain("0/7");
        (await RunningLoom.RunAsync(folder, ["down"])).Exit.ShouldBe(0);
    }

    [Fact]
    public async Task System_EndsUnderUp_ItsLastMetricsAreSent()
    {
        await using var collector = await Loom.Testing.Telemetry.CollectorDouble.StartAsync(grpc: true);
        var folder = RunningLoom.NewFolder(Small.Replace("metrics_port = 0", $"metrics_port = 0\notlp_endpoint = \"{collector.Endpoint}\"", StringComparison.Ordinal) + """

            [[harness.systems]]
            path = "short"
            """);
        Directory.CreateDirectory(Path.Combine(folder, "short"));
        await File.WriteAllTextAsync(Path.Combine(folder, "short", "architecture.yaml"), """
            schema_version: "1.0.0"
            system: { name: short, version: 1.0.0 }
            components:
              - { name: make, type: Source, uses: generate, config: { count: 3 } }
              - { name: store, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings: [ { from: make.out, to: store.in } ]
            """);
        (await RunningLoom.RunAsync(folder, ["harness", "lock", "short"])).Exit.ShouldBe(0);
        await using var loom = RunningLoom.Launch(folder);
        await loom.WaitReadyAsync();

        (await RunningLoom.RunAsync(folder, ["wait", "short", "--for", "ended", "--timeout", "120s"])).Exit.ShouldBe(0);

        collector.Metrics.Keys.ShouldContain("loom_harness_items_total", "sent before it is said to have ended; the export looks by itself only every ten seconds");
        (await RunningLoom.RunAsync(folder, ["down"])).Exit.ShouldBe(0);
    }
}
