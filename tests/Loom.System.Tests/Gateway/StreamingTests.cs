using System.Net;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gateway;

public sealed class StreamingTests
{
    private const string Body = """{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}""";
    private const string Token = """{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}""";
    private const string Usage = """{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}""";

    [Fact]
    public async Task Stream_UsageNotAsked_IsForwardedByteForByteWithoutTheUsageEvent()
    {
        await using var harness = await GatewayHarness.StartAsync();
        harness.Engine.Answer = async e =>
        {
            await e.EventAsync(Token);
            await e.EventAsync(Token);
            await e.EventAsync(Usage);
            await e.EventAsync("[DONE]");
        };

        using var response = await harness.ChatAsync(Body);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        (await response.Content.ReadAsStringAsync()).ShouldBe($"data: {Token}\n\ndata: {Token}\n\ndata: [DONE]\n\n");
        response.Content.Headers.ContentType!.ToString().ShouldBe("text/event-stream");
        response.Headers.GetValues("x-loom-pool").ShouldBe(["default"]);
        response.Headers.GetValues("x-loom-node").ShouldBe(["node1"]);
        response.Headers.GetValues("x-loom-attempts").ShouldBe(["1"]);
        harness.Engine.Seen.Single().Text.ShouldBe("""{"stream_options":{"include_usage":true},"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}""");
        await harness.UntilMetricAsync("""orchd_tokens_out_total{pool="default",model="demo",mock="false"} 2""");
    }

    [Fact]
    public async Task Stream_UsageAsked_BodyAndAnswerAreUntouched()
    {
        const string Asked = """{"model":"demo","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"user","content":"hi"}]}""";
        await using var harness = await GatewayHarness.StartAsync();
        harness.Engine.Answer = async e =>
        {
            await e.EventAsync(Token);
            await e.EventAsync(Usage);
            await e.EventAsync("[DONE]");
        };

        using var response = await harness.ChatAsync(Asked);

        (await response.Content.ReadAsStringAsync()).ShouldBe($"data: {Token}\n\ndata: {Usage}\n\ndata: [DONE]\n\n");
        harness.Engine.Seen.Single().Text.ShouldBe(Asked);
    }

    [Fact]
    public async Task Stream_EachEvent_ArrivesBeforeTheNextIsMade()
    {
        await using var harness = await GatewayHarness.StartAsync();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engine.Answer = async e =>
        {
            await e.EventAsync(Token);
            await gate.Task;
            await e.EventAsync("[DONE]");
        };

        using var response = await harness.ChatAsync(Body);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync());

        (await reader.ReadLineAsync()).ShouldBe($"data: {Token}");
        gate.SetResult();
        (await reader.ReadToEndAsync()).ShouldBe("\ndata: [DONE]\n\n");
    }

    [Fact]
    public async Task NonStream_Answer_IsForwardedWithItsLength()
    {
        const string Answer = """{"id":"x","choices":[{"message":{"content":"hello"}}],"usage":{"prompt_tokens":7,"completion_tokens":9}}""";
        await using var harness = await GatewayHarness.StartAsync();
        harness.Engine.Answer = e => e.JsonAsync(Answer);

        using var response = await harness.ChatAsync("""{ "model": "demo", "messages": [{"role":"user","content":"hi"}] }""");

        (await response.Content.ReadAsStringAsync()).ShouldBe(Answer);
        response.Content.Headers.ContentLength.ShouldBe(Answer.Length);
        harness.Engine.Seen.Single().Text.ShouldBe("""{ "model": "demo", "messages": [{"role":"user","content":"hi"}] }""");
        await harness.UntilMetricAsync("""orchd_tokens_in_total{pool="default",model="demo",mock="false"} 7""");
    }

    [Fact]
    public async Task Completions_Embeddings_ReachTheirRoutes()
    {
        await using var harness = await GatewayHarness.StartAsync();

        (await harness.PostAsync("/v1/completions", """{"model":"demo","prompt":"x"}""")).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await harness.PostAsync("/v1/embeddings", """{"model":"demo","input":["x"]}""")).StatusCode.ShouldBe(HttpStatusCode.OK);

        harness.Engine.Seen.Select(e => e.Path).ShouldBe(["/v1/completions", "/v1/embeddings"]);
    }
}
