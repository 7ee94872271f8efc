using System.Net;
using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Nodes;

/// <summary>One control plane and its nodes, each a process of its own.</summary>
public sealed class ClusterTests : IAsyncLifetime
{
    private const int Stop = 19;
    private const int Continue = 18;

    private readonly ClusterWorld _world = new();

    public async ValueTask InitializeAsync() => await _world.StartControlAsync();

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Fact]
    public async Task Node_StoppedAndContinued_GoesOfflineStaysListedAndComesBack()
    {
        var one = await _world.StartNodeAsync("one");
        await using var two = await _world.StartNodeAsync("two");
        await _world.UntilAsync("one", "online", ready: true);
        await _world.UntilAsync("two", "online", ready: true);

        one.Signal(Stop);
        await _world.UntilAsync("one", "offline");

        (await _world.NodeAsync("two"))!.State.ShouldBe("online");
        using (var chat = await _world.ChatAsync(stream: false, 3))
        {
            chat.Headers.GetValues("x-loom-node").ShouldBe(["two"]);
        }

        one.Signal(Continue);
        await _world.UntilAsync("one", "online", ready: true);
        one.Log.ShouldContain("registration: node one registered");
        _world.Control.Log.ShouldContain("node_registration: node one registered");
        _world.Control.Log.ShouldContain("token_fp6=");
        (one.Log + _world.Control.Log).ShouldNotContain(ClusterWorld.Token);
    }

    [Fact]
    public async Task Node_BoundToAllAddresses_IsReachedAtTheOneThatReachedTheControlPlane()
    {
        await using var one = await _world.StartNodeAsync("one", bind: "0.0.0.0:0");
        await _world.UntilAsync("one", "online", ready: true);

        var port = new Uri(one.Addresses["node"]).Port;
        (await _world.NodeAsync("one"))!.Address.ShouldBe($"http://127.0.0.1:{port}");
        using var chat = await _world.ChatAsync(stream: false, 3);
        chat.Headers.GetValues("x-loom-node").ShouldBe(["one"]);
    }

    [Fact]
    public async Task ControlPlane_KilledAndStarted_NodesComeBackWithTheirEngines()
    {
        var one = await _world.StartNodeAsync("one");
        await using var two = await _world.StartNodeAsync("two");
        await _world.UntilAsync("one", "online", ready: true);
        await _world.UntilAsync("two", "online", ready: true);
        var engines = Engines(one).Concat(Engines(two)).ToList();

        await _world.Control.KillAsync();
        await _world.StartControlAsync();

        await _world.UntilAsync("one", "online", ready: true);
        await _world.UntilAsync("two", "online", ready: true);
        Engines(one).Concat(Engines(two)).ShouldBe(engines);
        using var chat = await _world.ChatAsync(stream: false, 3);
        chat.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Agent_KilledHard_LeavesNoEngineAndItsWorkGoesElsewhere()
    {
        var one = await _world.StartNodeAsync("one");
        await using var two = await _world.StartNodeAsync("two");
        await _world.UntilAsync("one", "online", ready: true);
        await _world.UntilAsync("two", "online", ready: true);
        Engines(one).ShouldNotBeEmpty();

        await one.KillAsync();

        for (var i = 0; i < 4; i++)
        {
            using var chat = await _world.ChatAsync(stream: false, 3);
            chat.StatusCode.ShouldBe(HttpStatusCode.OK);
            chat.Headers.GetValues("x-loom-node").ShouldBe(["two"]);
        }

        await Deadline.Until(() => ClusterWorld.Survivors(one.RunId).Count == 0, "the guardian ended the engines");
        await _world.UntilAsync("one", "offline");
    }

    [Fact]
    public async Task Agent_Terminated_DrainsSignsOffAndIsGone()
    {
        var one = await _world.StartNodeAsync("one");
        await _world.UntilAsync("one", "online", ready: true);

        (await one.StopAsync()).ShouldBe(0);

        (await _world.NodeAsync("one")).ShouldBeNull();
        ClusterWorld.Survivors(one.RunId).ShouldBeEmpty();
        one.Log.ShouldContain("signed off");
    }

    [Fact]
    public async Task Impostor_OfAnOnlineNode_IsRefusedAndToldSo()
    {
        await using var one = await _world.StartNodeAsync("one");
        await _world.UntilAsync("one", "online");

        using var answer = await _world.AskAsync(
            HttpMethod.Post, _world.Api, "/v2/nodes/register",
            """{"node_id":"one","machine_id":"another","instance_id":"x","address":"http://127.0.0.1:1","pools":[],"capabilities":{}}""");

        answer.StatusCode.ShouldBe(HttpStatusCode.Conflict);
        (await answer.Content.ReadAsStringAsync()).ShouldContain("NODE_ID_IN_USE");
        (await _world.NodeAsync("one"))!.State.ShouldBe("online");
        await Deadline.Until(() => _world.Control.Log.Contains("REFUSED", StringComparison.Ordinal), "the control plane says so");
    }

    [Fact]
    public async Task Token_OfAnotherCluster_IsToldOnBothSidesByItsFingerprint()
    {
        await using var one = await _world.StartNodeAsync("one", token: "another-token-0123456789abcdefghijklm");

        await Deadline.Until(() => one.Log.Contains("registration: REFUSED", StringComparison.Ordinal), "the agent says so");

        var fp6 = Loom.Core.Settings.Secret.Fingerprint("another-token-0123456789abcdefghijklm");
        await Deadline.Until(() => one.Log.Contains($"token_fp6={fp6}", StringComparison.Ordinal), "by the fingerprint");
        await Deadline.Until(() => _world.Control.Log.Contains($"token_fp6={fp6}", StringComparison.Ordinal), "the control plane says so");
        await Deadline.Until(() => ClusterWorld.Survivors(one.RunId).Count > 0, "its engines run all the same");
        (await _world.NodeAsync("one")).ShouldBeNull();
    }

    [Fact]
    public async Task Node_WithAKeyForNodesOnly_ServesAndIsNeverToldTheClustersToken()
    {
        const string Key = "a-key-for-nodes-only-0123456789abcdef";
        var hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(Key)));
        await using var world = new ClusterWorld { ControlToml = $"[auth.keys.worker]\nsha256 = \"{hash}\"\nscopes = [\"node\"]\n" };
        await world.StartControlAsync();
        // It would answer 401 to any other token than its own.
        await world.StartNodeAsync("w1", token: Key);
        await world.UntilAsync("w1", "online", ready: true);

        using var chat = await world.ChatAsync(stream: false, 4);
        using var drain = await world.AskAsync(HttpMethod.Post, world.Api, "/v2/pools/default/drain?wait=true", "{}");

        chat.StatusCode.ShouldBe(HttpStatusCode.OK);
        drain.StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Stream_ThroughTwoHops_IsTheEnginesOwn()
    {
        await using var one = await _world.StartNodeAsync("one");
        await _world.UntilAsync("one", "online", ready: true);
        const string Body = """{"model":"demo","stream":true,"stream_options":{"include_usage":true},"max_tokens":200,"seed":7,"messages":[{"role":"user","content":"hi"}]}""";
        var engine = await EngineAsync(one);

        var direct = await TextAsync(engine, "/v1/chat/completions", Body);
        var proxied = await TextAsync(new Uri(one.Addresses["node"]), "/v2/pools/default/replicas/r0/v1/chat/completions", Body);
        var gateway = await TextAsync(_world.Api, "/v1/chat/completions", Body);

        Normal(proxied).ShouldBe(Normal(direct));
        Normal(gateway).ShouldBe(Normal(direct));
        direct.ShouldContain("[DONE]");
    }

    [Fact]
    public async Task Agent_PassesOnWhatStandsBesideTheOpenAiRoutes_AndNoSwitchOfTheEngine()
    {
        await using var one = await _world.StartNodeAsync("one", ClusterWorld.Mock(2, "\"--routes\", \"tokenize\""));
        await _world.UntilAsync("one", "online", ready: true);
        var agent = new Uri(one.Addresses["node"]);

        (await TextAsync(_world.Api, "/tokenize", """{"content":"warp and weft"}""")).ShouldContain("\"count\":3");
        (await TextAsync(agent, "/v2/pools/default/replicas/r0/slots", null)).ShouldContain("is_processing");
        using var erase = await _world.AskAsync(HttpMethod.Post, agent, "/v2/pools/default/replicas/r0/slots/0?action=erase", "{}");
        erase.StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Cancel_ThroughTwoHops_ReachesTheEngine()
    {
        await using var one = await _world.StartNodeAsync("one", ClusterWorld.Mock(1, "\"--tokens-per-second\", \"20\""));
        await _world.UntilAsync("one", "online", ready: true);
        var engine = await EngineAsync(one);
        using (var cancel = new CancellationTokenSource())
        {
            using var answer = await _world.AskAsync(
                HttpMethod.Post, _world.Api, "/v1/chat/completions",
                """{"model":"demo","stream":true,"max_tokens":2000,"messages":[{"role":"user","content":"hi"}]}""", cancel: cancel.Token);
            await using var body = await answer.Content.ReadAsStreamAsync(cancel.Token);
            (await body.ReadAsync(new byte[64], cancel.Token)).ShouldBeGreaterThan(0);
        }

        await ClusterWorld.WaitAsync(
            async () =>
            {
                using var slots = JsonDocument.Parse(await TextAsync(engine, "/slots", null));
                return slots.RootElement.EnumerateArray().All(s => !s.GetProperty("is_processing").GetBoolean());
            },
            "the engine's slot is idle");
        await ClusterWorld.WaitAsync(async () => (await TextAsync(engine, "/mock/requests", null)).Contains("cancel", StringComparison.Ordinal), "the engine has noted it");
        await ClusterWorld.WaitAsync(async () => (await TextAsync(new Uri(one.Addresses["node"]), "/v2/pools/default/status", null)).Contains("\"slots_free\":1", StringComparison.Ordinal), "the agent's slot is free");
    }

    [Fact]
    public async Task Agent_MoreThanItsSlots_IsRefusedWithNoSlot()
    {
        await using var one = await _world.StartNodeAsync("one", ClusterWorld.Mock(1, "\"--tokens-per-second\", \"5\""));
        await _world.UntilAsync("one", "online", ready: true);
        var agent = new Uri(one.Addresses["node"]);
        const string Body = """{"model":"demo","stream":true,"max_tokens":2000,"messages":[{"role":"user","content":"hi"}]}""";
        using var first = await _world.AskAsync(HttpMethod.Post, agent, "/v2/pools/default/replicas/r0/v1/chat/completions", Body);
        first.StatusCode.ShouldBe(HttpStatusCode.OK);

        using var second = await _world.AskAsync(HttpMethod.Post, agent, "/v2/pools/default/replicas/r0/v1/chat/completions", Body);

        second.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        second.Headers.RetryAfter.ShouldNotBeNull();
        (await second.Content.ReadAsStringAsync()).ShouldContain("NO_SLOT");
    }

    [Fact]
    public async Task Drain_OfANode_SendsWorkElsewhereUntilUndrain()
    {
        await using var one = await _world.StartNodeAsync("one");
        await _world.UntilAsync("one", "online", ready: true);

        using (var drain = await _world.AskAsync(HttpMethod.Post, _world.Api, "/v2/nodes/one/drain", """{"deadline_ms":100}"""))
        {
            drain.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        }

        (await _world.NodeAsync("one"))!.Draining.ShouldBeTrue();
        using (var chat = await _world.ChatAsync(stream: false, 3))
        {
            chat.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        }

        using (var undrain = await _world.AskAsync(HttpMethod.Post, _world.Api, "/v2/nodes/one/undrain"))
        {
            undrain.StatusCode.ShouldBe(HttpStatusCode.Accepted);
        }

        await ClusterWorld.WaitAsync(
            async () =>
            {
                using var chat = await _world.ChatAsync(stream: false, 3);
                return chat.StatusCode == HttpStatusCode.OK;
            },
            "the node serves again");
    }

    // What an answer says, without what is of its moment: ids, times, and how much of the prompt the engine still had.
    private static string Normal(string stream) => System.Text.RegularExpressions.Regex.Replace(stream, "\"(id|created|[a-z_]+_ms|cache_n|prompt_n|cached_tokens)\":(\"[^\"]*\"|[0-9.]+)", "\"$1\":0");

    private static List<string> Engines(ClusterPart node) =>
        [.. ClusterWorld.Survivors(node.RunId).Where(c => c.Contains("mock-engine", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    private async Task<Uri> EngineAsync(ClusterPart node)
    {
        await Deadline.Until(() => Engines(node).Count > 0, "the engine runs");
        var words = Engines(node)[0].Split(' ');
        return new Uri($"http://127.0.0.1:{words[Array.IndexOf(words, "--port") + 1]}");
    }

    private async Task<string> TextAsync(Uri address, string path, string? body)
    {
        using var answer = await _world.AskAsync(body is null ? HttpMethod.Get : HttpMethod.Post, address, path, body);
        return await answer.Content.ReadAsStringAsync();
    }
}
