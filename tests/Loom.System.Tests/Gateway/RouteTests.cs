using System.Net;
using System.Text.Json;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gateway;

/// <summary>Routes that only some engines offer, repairs of streams, and explanations.</summary>
public sealed class RouteTests
{
    private const string Whole = """{"model":"demo","messages":[{"role":"user","content":"hi"}]}""";
    private const string Stream = """{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}""";

    [Theory]
    [InlineData("/v1/responses", """{"model":"demo","input":"hi"}""", "responses")]
    [InlineData("/v1/messages", """{"model":"demo","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}""", "messages")]
    [InlineData("/v1/messages/count_tokens", """{"model":"demo","messages":[{"role":"user","content":"hi"}]}""", "messages/count_tokens")]
    [InlineData("/v1/rerank", """{"model":"demo","query":"q","documents":["a"]}""", "rerank")]
    public async Task DeclaredRoute_IsPassedThrough(string path, string body, string capability)
    {
        await using var harness = await GatewayHarness.StartAsync(status: s => s with { Capabilities = [capability] });

        using var response = await harness.PostAsync(path, body);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await response.Content.ReadAsStringAsync()).ShouldBe("""{"ok":true}""");
        harness.Engine.Seen.Single().Path.ShouldBe(path);
        harness.Engine.Seen.Single().Text.ShouldBe(body);
    }

    [Fact]
    public async Task Tokenize_StandsBesideTheOpenAiRoutes_AndNeedsNoModel()
    {
        await using var harness = await GatewayHarness.StartAsync(status: s => s with { Capabilities = ["tokenize"] });

        using var response = await harness.PostAsync("/tokenize", """{"content":"hi"}""");

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        harness.Engine.Seen.Single().Path.ShouldBe("/tokenize");
    }

    [Fact]
    public async Task UndeclaredRoute_404NamingTheEngine()
    {
        await using var harness = await GatewayHarness.StartAsync();

        using var response = await harness.PostAsync("/v1/responses", """{"model":"demo","input":"hi"}""");

        response.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        var error = await ErrorAsync(response);
        error.GetProperty("code").GetString().ShouldBe("unsupported_route");
        error.GetProperty("message").GetString()!.ShouldContain("'mock'");
        harness.Engine.Seen.ShouldBeEmpty();
    }

    [Fact]
    public async Task Messages_Errors_HaveTheShapeOfTheirApi()
    {
        await using var harness = await GatewayHarness.StartAsync();

        using var response = await harness.PostAsync("/v1/messages", """{"model":"nobody","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}""");

        response.StatusCode.ShouldBe(HttpStatusCode.NotFound);
        var body = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement;
        body.GetProperty("type").GetString().ShouldBe("error");
        body.GetProperty("error").GetProperty("type").GetString().ShouldBe("not_found_error");
    }

    [Fact]
    public async Task Messages_DiesMidStream_ErrorEventOfTheirApi()
    {
        await using var harness = await GatewayHarness.StartAsync(status: s => s with { Capabilities = ["messages"] });
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engine.Answer = async e =>
        {
            await e.EventAsync("""{"type":"message_start","message":{"usage":{"input_tokens":7,"output_tokens":0}}}""");
            await arrived.Task;
            e.Http.Abort();
        };
        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/messages", """{"model":"demo","stream":true,"max_tokens":5,"messages":[{"role":"user","content":"hi"}]}""");
        await client.ReadUntilAsync("message_start");
        arrived.SetResult();

        var rest = await client.ReadToEndAsync();

        rest.ShouldContain("event: error\ndata: {\"type\":\"error\"");
        rest.ShouldContain("WORKER_RESET");
    }

    [Fact]
    public async Task Stream_EventsThatBreakStrictClients_AreRepairedAloneAndCounted()
    {
        await using var harness = await GatewayHarness.StartAsync();
        harness.Engine.Answer = async e =>
        {
            await e.EventAsync("""{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":""}]}""");
            await e.EventAsync("""{"choices":[{"index":0,"delta":{"tool_calls":[{"id":"x","type":"function"},{"index":1,"id":"y"}]},"finish_reason":null}]}""");
            await e.EventAsync("[DONE]");
        };

        using var response = await harness.ChatAsync(Stream);

        (await response.Content.ReadAsStringAsync()).ShouldBe(
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n"
            + "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"x\",\"type\":\"function\"},{\"index\":1,\"id\":\"y\"}]},\"finish_reason\":null}]}\n\n"
            + "data: [DONE]\n\n");
        await harness.UntilMetricAsync("orchd_stream_repairs_total{kind=\"finish_reason\"} 1");
        await harness.UntilMetricAsync("orchd_stream_repairs_total{kind=\"tool_call_index\"} 1");
    }

    [Fact]
    public async Task Explain_SaysWhyThatReplicaAndWhyNotAnother()
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2, status: s => s.Id.ReplicaName == "r0" ? s with { State = ReplicaState.Draining } : s with { Mock = true });
        harness.Engines[1].Answer = e => e.JsonAsync("""{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}}""");
        using (var response = await harness.ChatAsync(Whole, r => r.Headers.Add("x-request-id", "why")))
        {
            response.StatusCode.ShouldBe(HttpStatusCode.OK);
        }

        var text = await UntilEndedAsync(harness, "why");

        var explained = JsonDocument.Parse(text).RootElement;
        explained.GetProperty("class").GetString().ShouldBe("interactive");
        explained.GetProperty("model").GetString().ShouldBe("demo");
        explained.GetProperty("mock").GetBoolean().ShouldBeTrue();
        explained.GetProperty("cache_hit").GetBoolean().ShouldBeTrue();
        explained.GetProperty("tokens").GetProperty("completion").GetInt32().ShouldBe(2);
        explained.GetProperty("attempts").GetArrayLength().ShouldBe(1);
        var candidates = explained.GetProperty("placement").GetProperty("candidates").EnumerateArray().ToList();
        candidates.Select(c => c.GetProperty("replica").GetString()).ShouldBe(["r0", "r1"]);
        candidates[0].GetProperty("rejected").GetString().ShouldBe("draining");
        candidates[1].GetProperty("chosen").GetBoolean().ShouldBeTrue();
        candidates[1].GetProperty("score").GetDouble().ShouldBe(1);
    }

    [Fact]
    public async Task Explain_OfAnotherKey_404_ManageSeesAll()
    {
        await using var harness = await GatewayHarness.StartAsync(options: o => o with
        {
            Api = o.Api with { Token = "all-of-it", Keys = [KeyOf("alice"), KeyOf("bob")] },
        });
        using (var response = await harness.ChatAsync(Whole, r => With(r, "alice").Headers.Add("x-request-id", "hers")))
        {
            response.StatusCode.ShouldBe(HttpStatusCode.OK);
        }

        (await ExplainAsync(harness, "hers", "alice")).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await ExplainAsync(harness, "hers", "bob")).StatusCode.ShouldBe(HttpStatusCode.NotFound);
        (await ExplainAsync(harness, "hers", "all-of-it")).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await ExplainAsync(harness, "never", "alice")).StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task CancelledSlot_StaysInUseUntilTheEngineReportsItIdle()
    {
        await using var harness = await GatewayHarness.StartAsync(slots: 1);
        var busy = true;
        harness.Engine.Slots = () => $$"""[{"id":0,"is_processing":{{(busy ? "true" : "false")}}}]""";
        var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var slots = harness.Engine.Slots;
        harness.Engine.Slots = () =>
        {
            asked.TrySetResult();
            return slots();
        };
        harness.Engine.Answer = async e =>
        {
            reached.TrySetResult();
            await e.Aborted;
        };
        using (var client = await harness.RawAsync())
        {
            await client.PostAsync("/v1/chat/completions", Whole);
            await reached.Task.WaitAsync(GatewayHarness.Deadline);
        }

        await asked.Task.WaitAsync(GatewayHarness.Deadline);
        harness.Engine.Answer = e => e.JsonAsync("""{"second":true}""");
        var second = harness.ChatAsync(Whole);
        Volatile.Write(ref busy, false);

        using var response = await second;
        (await response.Content.ReadAsStringAsync()).ShouldBe("""{"second":true}""");
        await harness.UntilMetricAsync("orchd_cancel_seconds_count{phase=\"prefill\"} 1");
    }

    [Fact]
    public async Task SessionHeader_PrefersTheReplicaOfTheLastTurn()
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 3);
        for (var i = 0; i < 6; i++)
        {
            using var response = await harness.ChatAsync(Whole, r => r.Headers.Add("x-loom-session", "7b0c3c52-6a3c-4b39-9a3f-0d8d3b1d3b11"));
            response.StatusCode.ShouldBe(HttpStatusCode.OK);
        }

        harness.Engines.Select(e => e.Seen.Count).OrderDescending().ShouldBe([6, 0, 0]);
    }

    [Fact]
    public async Task ModelThatIsNotLoaded_IsLoadedForTheRequest()
    {
        await using var harness = await GatewayHarness.StartAsync(status: s => s with { Models = ["demo", "other"], Swap = true });
        PoolCommand? seen = null;
        harness.Operate = command =>
        {
            seen = command;
            harness.Publish(s => s with { Model = "other" });
            return Task.FromResult(new OperationStatus { Id = "1", Kind = "swap", Status = OperationState.Succeeded });
        };

        using var response = await harness.ChatAsync("""{"model":"other","messages":[{"role":"user","content":"hi"}]}""");

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        seen.ShouldBeOfType<PoolCommand.Swap>().Model.ShouldBe("other");
    }

    [Fact]
    public async Task ModelThatCannotBeLoaded_503WithTheReason()
    {
        await using var harness = await GatewayHarness.StartAsync(status: s => s with { Models = ["demo", "other"], Swap = true });
        harness.Operate = _ => Task.FromResult(new OperationStatus { Id = "1", Kind = "swap", Status = OperationState.Failed, Error = "the file is broken" });

        using var response = await harness.ChatAsync("""{"model":"other","messages":[{"role":"user","content":"hi"}]}""");

        response.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        (await ErrorAsync(response)).GetProperty("message").GetString()!.ShouldContain("the file is broken");
        response.Headers.RetryAfter.ShouldNotBeNull();
    }

    private static async Task<JsonElement> ErrorAsync(HttpResponseMessage response) =>
        JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error");

    // The record is closed after the last byte has gone out.
    private static async Task<string> UntilEndedAsync(GatewayHarness harness, string id)
    {
        using var deadline = new CancellationTokenSource(GatewayHarness.Deadline);
        while (true)
        {
            var text = await harness.Client.GetStringAsync($"/v2/requests/{id}/explain", deadline.Token);
            if (text.Contains("\"state\":\"completed\"", StringComparison.Ordinal))
            {
                return text;
            }
        }
    }

    private static Task<HttpResponseMessage> ExplainAsync(GatewayHarness harness, string id, string token) =>
        harness.Client.SendAsync(With(new HttpRequestMessage(HttpMethod.Get, $"/v2/requests/{id}/explain"), token));

    private static HttpRequestMessage With(HttpRequestMessage request, string token)
    {
        request.Headers.Authorization = new("Bearer", token);
        return request;
    }

    private static Loom.Core.Web.ClientKey KeyOf(string name) =>
        new(name, Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(name))), Loom.Core.Web.Scopes.Inference);
}
