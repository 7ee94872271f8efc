using System.Net;
using System.Text;
using System.Text.Json;
using Loom.SystemTests.Harness.Signals;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Pools;

/// <summary>Pools of a running project, by its API and by <c>loom pools</c>: gateway, control plane and node in one process, engines real.</summary>
public sealed class PoolsVerbTests
{
    private const string Toml = """
        [serving.engines.double]
        kind = "mock"
        args = ["--tokens-per-second", "200"]
        [serving.pools.default]
        engine = "double"
        models = ["a"]
        [serving.pools.later]
        engine = "double"
        models = ["late"]
        preload = false

        """;

    [Fact(Timeout = 300_000)]
    public async Task Reload_RequestsByTheDefaultName_NoneFailsAndTheListFollows()
    {
        await using var loom = await RunningLoom.UpAsync(Toml);
        using var http = Client(loom);
        using var stop = new CancellationTokenSource();
        var loops = Enumerable.Range(0, 4).Select(_ => LoopAsync(http, stop.Token)).ToArray();
        await AskAsync(http);
        var (exit, output, err) = await RunningLoom.RunAsync(loom.Folder, ["pools", "reload", "default", "b", "--json"]);
        exit.ShouldBe(0, err);
        output.Trim().Split('\n')[^1].ShouldContain("\"status\":\"succeeded\"");
        await AskAsync(http);
        await stop.CancelAsync();
        (await Task.WhenAll(loops)).Sum().ShouldBeGreaterThan(0);
        await RunningSystem.UntilAsync(
            async () => await http.GetStringAsync("/v1/models") is var models && models.Contains("\"b\"", StringComparison.Ordinal) && !models.Contains("\"id\":\"a\"", StringComparison.Ordinal),
            "the list follows");
    }

    [Fact(Timeout = 300_000)]
    public async Task Verbs_DrainUndrainPreloadPurge_DoWhatTheySay()
    {
        await using var loom = await RunningLoom.UpAsync(Toml);
        await UntilAsync(loom, "later", "stopped");
        (await RunningLoom.RunAsync(loom.Folder, ["pools", "preload", "later"])).Exit.ShouldBe(0);
        await UntilAsync(loom, "later", "ready");
        (await RunningLoom.RunAsync(loom.Folder, ["pools", "drain", "default", "--deadline", "5s"])).Exit.ShouldBe(0);
        await UntilAsync(loom, "default", "draining");
        (await RunningLoom.RunAsync(loom.Folder, ["pools", "undrain", "default"])).Exit.ShouldBe(0);
        await UntilAsync(loom, "default", "ready");
        (await RunningLoom.RunAsync(loom.Folder, ["pools", "purge", "later"])).Exit.ShouldBe(0);
        await UntilAsync(loom, "later", "stopped");
        var unknown = await RunningLoom.RunAsync(loom.Folder, ["pools", "drain", "defalt"]);
        unknown.Exit.ShouldBe(3);
        unknown.Err.ShouldContain("default");
        var table = await RunningLoom.RunAsync(loom.Folder, ["pools"]);
        table.Out.ShouldContain("POOL");
        table.Out.ShouldContain("purged");
    }

    [Fact(Timeout = 300_000)]
    public async Task Reload_ModelThatCannotBeHad_RolledBackWithTheReason()
    {
        await using var loom = await RunningLoom.UpAsync("""
            [serving.engines.own]
            kind = "command"
            command = ["sh", "-c", "case \"$1\" in *bad*) exit 3;; esac; exec \"$0\" dev mock-engine --port {port} --model \"$1\"", "LOOM", "{model}"]
            [serving.pools.default]
            engine = "own"
            models = ["a"]
            """.Replace("LOOM", RunningLoom.Program, StringComparison.Ordinal));
        var (exit, _, err) = await RunningLoom.RunAsync(loom.Folder, ["pools", "reload", "default", "bad"]);
        exit.ShouldBe(1);
        err.ShouldContain("rolled back");
        err.ShouldContain("exit 3");
        using var http = Client(loom);
        await AskAsync(http);
        using var wait = new HttpRequestMessage(HttpMethod.Post, "/v2/pools/default/reload?wait=true") { Content = new StringContent("""{"new_model_ref":"bad"}""", Encoding.UTF8, "application/json") };
        wait.Headers.Authorization = new("Bearer", loom.Token);
        using var answer = await http.SendAsync(wait);
        answer.StatusCode.ShouldBe(HttpStatusCode.Conflict);
        (await answer.Content.ReadAsStringAsync()).ShouldContain("rolled_back");
    }

    private static HttpClient Client(RunningLoom loom) => new() { BaseAddress = loom.Api, Timeout = RunningLoom.Deadline };

    private static async Task<string> StateAsync(RunningLoom loom, string pool)
    {
        var (exit, output, err) = await RunningLoom.RunAsync(loom.Folder, ["pools", "--json"]);
        exit.ShouldBe(0, err);
        using var json = JsonDocument.Parse(output);
        return json.RootElement.GetProperty("pools").EnumerateArray().Single(p => p.GetProperty("pool_id").GetString() == pool).GetProperty("state").GetString()!;
    }

    // The control plane hears of it a moment after the operation has ended.
    private static Task UntilAsync(RunningLoom loom, string pool, string state) =>
        RunningSystem.UntilAsync(async () => await StateAsync(loom, pool) == state, $"{pool} is {state}");

    private static async Task<int> LoopAsync(HttpClient http, CancellationToken stop)
    {
        var answers = 0;
        while (!stop.IsCancellationRequested)
        {
            await AskAsync(http);
            answers++;
        }

        return answers;
    }

    private static async Task AskAsync(HttpClient http)
    {
        using var content = new StringContent("""{"model":"default","max_tokens":3,"messages":[{"role":"user","content":"the weaver"}]}""", Encoding.UTF8, "application/json");
        using var answer = await http.PostAsync("/v1/chat/completions", content);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK, await answer.Content.ReadAsStringAsync());
    }
}
