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

        // Its endpoint takes requests a moment after the system runs.
        await RunningSystem.UntilAsync(
            async () =>
            {
                using var posted = await client.PostAsync("/orders", new StringContent("""{"n":1}""", Encoding.UTF8, "application/json"));
                posted.StatusCode.ShouldBeOneOf(HttpStatusCode.Accepted, HttpStatusCode.ServiceUnavailable);
                return posted.StatusCode == HttpStatusCode.Accepted;
            },
            "the order is taken");
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
}
