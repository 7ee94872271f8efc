using System.Text.Json;
using Loom.Core.Queues;
using Loom.SystemTests.Gateway;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Clients;

/// <summary>Unmodified SDKs for Node, run by the scripts in <c>tests/node-clients</c>; only the base address is changed.</summary>
public sealed class NodeClientTests(MockProject project) : IClassFixture<MockProject>
{
    private const string Whole = """{"id":"c","object":"chat.completion","created":1,"model":"demo","choices":[{"index":0,"message":{"role":"assistant","content":"cloth"},"finish_reason":"stop"}]}""";

    private string V1 => new Uri(project.Loom.Api, "/v1").ToString();

    [Fact]
    public async Task OpenAi_WholeWalk_FindsWhatItExpects()
    {
        var result = await NodeScript.RunAsync("openai.mjs", null, V1, "demo");
        result.GetProperty("models").EnumerateArray().Select(m => m.GetString()).ShouldContain("demo");
        result.GetProperty("chat").GetString().ShouldBe(result.GetProperty("stream").GetString());
        result.GetProperty("chatUsage").GetInt32().ShouldBe(8);
        result.GetProperty("streamUsage").GetInt32().ShouldBe(8);
        result.GetProperty("pieces").GetInt32().ShouldBe(8);
        result.GetProperty("finish").GetString().ShouldBe("length");
        result.GetProperty("logprobs").GetInt32().ShouldBe(2);
        result.GetProperty("notFound").GetString().ShouldBe("model_not_found");
        result.GetProperty("beforeAbort").GetInt32().ShouldBeInRange(3, 100);
        result.GetProperty("norm").GetDouble().ShouldBe(1, 0.001);
    }

    [Fact]
    public async Task AiSdk_WholeWalk_FindsWhatItExpects()
    {
        var result = await NodeScript.RunAsync("ai.mjs", null, V1, "demo");
        result.GetProperty("text").GetString().ShouldBe(result.GetProperty("streamed").GetString());
        result.GetProperty("usage").GetInt32().ShouldBe(8);
        result.GetProperty("streamedUsage").GetInt32().ShouldBe(8);
        result.GetProperty("finish").GetString().ShouldBe("length");
        result.GetProperty("norms").EnumerateArray().ShouldAllBe(n => Math.Abs(n.GetDouble() - 1) < 0.001);
        result.GetProperty("beforeAbort").GetInt32().ShouldBeInRange(3, 100);
        result.GetProperty("notFound").GetInt32().ShouldBe(404);
    }

    [Fact]
    public async Task Anthropic_WholeWalk_FindsWhatItExpects()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml("--tokens-per-second", "200", "--routes", "messages,messages/count_tokens"));
        var result = await NodeScript.RunAsync("anthropic.mjs", null, loom.Api.ToString(), "demo");
        result.GetProperty("text").GetString().ShouldNotBeNullOrEmpty();
        result.GetProperty("streamed").GetString().ShouldBe(result.GetProperty("text").GetString());
        result.GetProperty("usage").GetInt32().ShouldBe(8);
        result.GetProperty("streamedUsage").GetInt32().ShouldBe(8);
        result.GetProperty("stop").GetString().ShouldBe("max_tokens");
        result.GetProperty("counted").GetInt32().ShouldBeGreaterThan(0);
        result.GetProperty("notFound").GetInt32().ShouldBe(404);
    }

    [Theory]
    [InlineData("broken-stream.mjs")]
    [InlineData("ai-broken-stream.mjs")]
    public async Task Sdk_EngineResetMidStream_FailsInsteadOfEndingQuietly(string script)
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml("--tokens-per-second", "50", "--fault", "reset:5"));
        var result = await NodeScript.RunAsync(script, null, new Uri(loom.Api, "/v1").ToString(), "demo");
        result.GetProperty("ended").GetString().ShouldBe("error");
        // The reset may overtake what was sent just before it.
        result.GetProperty("pieces").GetInt32().ShouldBeInRange(1, 5);
    }

    [Fact]
    public async Task OpenAi_FullQueueAndWrongKey_RetryAfterIsHonouredAndTheKeyRefused()
    {
        await using var harness = await GatewayHarness.StartAsync(slots: 1, options: o => o with
        {
            Api = o.Api with { Token = "right" },
            Admission = o.Admission with { Capacity = 1, Policy = OverflowPolicy.RejectNew },
        });
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engine.Answer = async e =>
        {
            await gate.Task;
            await e.JsonAsync(Whole);
        };
        void Known(HttpRequestMessage request) => request.Headers.Authorization = new("Bearer", "right");
        var running = harness.ChatAsync("""{"model":"demo","messages":[{"role":"user","content":"1"}]}""", Known);
        var waiting = harness.ChatAsync("""{"model":"demo","messages":[{"role":"user","content":"2"}]}""", Known);
        await Deadline.Until(() => harness.Engine.Seen.Count == 1, "the first request at the engine");
        await harness.UntilMetricAsync("orchd_queue_depth{class=\"interactive\"} 1");

        var result = await NodeScript.RunAsync("openai-refusals.mjs", line => _ = line == "refused" && gate.TrySetResult(), new Uri(harness.Plane.ApiAddress, "/v1").ToString(), "demo", "right");

        (await running).EnsureSuccessStatusCode();
        (await waiting).EnsureSuccessStatusCode();
        result.GetProperty("answered").GetString().ShouldBe("cloth");
        // How often it is refused is the machine's doing: the queue empties while the SDK waits, and a slow machine empties it later than one wait.
        var statuses = result.GetProperty("statuses").EnumerateArray().Select(s => s.GetInt32()).ToList();
        statuses.Count.ShouldBeGreaterThanOrEqualTo(2);
        statuses[..^1].ShouldAllBe(s => s == 429);
        statuses[^1].ShouldBe(200);
        result.GetProperty("retryAfter").GetDouble().ShouldBeInRange(1, 60);
        result.GetProperty("waitedSeconds").GetDouble().ShouldBeGreaterThanOrEqualTo(result.GetProperty("retryAfter").GetDouble() - 0.05);
        result.GetProperty("unauthorized").GetString().ShouldBe("invalid_api_key");
    }

    [Fact]
    public async Task OpenAi_Tools_PassThroughBothWays()
    {
        await using var harness = await GatewayHarness.StartAsync();
        harness.Engine.Answer = async e =>
        {
            if (!e.Text.Contains("\"stream\":true", StringComparison.Ordinal))
            {
                await e.JsonAsync("""
                    {"id":"c","object":"chat.completion","created":1,"model":"demo","choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,
                    "tool_calls":[{"id":"t1","type":"function","function":{"name":"weave","arguments":"{\"rows\":3}"}}]}}]}
                    """);
                return;
            }

            await e.EventAsync("""{"id":"c","object":"chat.completion.chunk","created":1,"model":"demo","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"weave","arguments":""}}]}}]}""");
            await e.EventAsync("""{"id":"c","object":"chat.completion.chunk","created":1,"model":"demo","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"rows\":3}"}}]}}]}""");
            await e.EventAsync("""{"id":"c","object":"chat.completion.chunk","created":1,"model":"demo","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}""");
            await e.EventAsync("[DONE]");
        };

        var result = await NodeScript.RunAsync("openai-tools.mjs", null, new Uri(harness.Plane.ApiAddress, "/v1").ToString(), "demo");

        foreach (var told in new[] { "whole", "streamed" })
        {
            result.GetProperty(told).GetProperty("name").GetString().ShouldBe("weave");
            result.GetProperty(told).GetProperty("arguments").GetString().ShouldBe("""{"rows":3}""");
        }

        result.GetProperty("finish").GetString().ShouldBe("tool_calls");
        foreach (var sent in harness.Engine.Seen.Select(s => JsonDocument.Parse(s.Body).RootElement))
        {
            sent.GetProperty("tools")[0].GetProperty("function").GetProperty("name").GetString().ShouldBe("weave");
            sent.GetProperty("tool_choice").GetString().ShouldBe("auto");
            sent.GetProperty("parallel_tool_calls").GetBoolean().ShouldBeFalse();
        }
    }
}
