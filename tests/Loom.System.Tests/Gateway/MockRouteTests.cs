using System.Net;
using System.Text;
using System.Text.Json;
using Loom.Node.Mock;
using Shouldly;
using Xunit;
using MockEngine = Loom.Node.Mock.MockEngine;

namespace Loom.SystemTests.Gateway;

/// <summary>What the mock engine answers on the routes that only some engines offer.</summary>
public sealed class MockRouteTests
{
    [Fact(Timeout = 240_000)]
    public async Task Responses_WholeAndStreamed_SayTheSame()
    {
        await using var mock = await StartAsync("responses");

        var whole = await JsonAsync(mock, "/v1/responses", """{"model":"demo","input":"the weaver","max_output_tokens":5}""");
        var stream = await TextAsync(mock, "/v1/responses", """{"model":"demo","input":"the weaver","max_output_tokens":5,"stream":true}""");

        var events = Events(stream);
        events.Select(e => e.GetProperty("type").GetString()).ShouldBe(["response.created", .. Enumerable.Repeat("response.output_text.delta", 5), "response.completed"]);
        events.Select(e => e.GetProperty("sequence_number").GetInt32()).ShouldBe(Enumerable.Range(0, 7));
        var text = whole.GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString();
        string.Concat(events.Skip(1).Take(5).Select(e => e.GetProperty("delta").GetString())).ShouldBe(text);
        events[^1].GetProperty("response").GetProperty("usage").GetProperty("output_tokens").GetInt32().ShouldBe(5);
        whole.GetProperty("usage").GetProperty("output_tokens").GetInt32().ShouldBe(5);
    }

    [Fact(Timeout = 240_000)]
    public async Task Messages_WholeAndStreamed_SayTheSame()
    {
        await using var mock = await StartAsync("messages");
        const string Asked = """{"model":"demo","max_tokens":5,"messages":[{"role":"user","content":"the weaver"}]""";

        var whole = await JsonAsync(mock, "/v1/messages", Asked + "}");
        var events = Events(await TextAsync(mock, "/v1/messages", Asked + ",\"stream\":true}"));

        events.Select(e => e.GetProperty("type").GetString()).ShouldBe(
            ["message_start", "content_block_start", .. Enumerable.Repeat("content_block_delta", 5), "content_block_stop", "message_delta", "message_stop"]);
        var deltas = events.Where(e => e.GetProperty("type").GetString() == "content_block_delta");
        string.Concat(deltas.Select(e => e.GetProperty("delta").GetProperty("text").GetString())).ShouldBe(whole.GetProperty("content")[0].GetProperty("text").GetString());
        whole.GetProperty("stop_reason").GetString().ShouldBe("max_tokens");
    }

    [Fact(Timeout = 240_000)]
    public async Task InstantRoutes_CountWordsAndRankDocuments()
    {
        await using var mock = await StartAsync("messages/count_tokens", "tokenize", "rerank");

        (await JsonAsync(mock, "/v1/messages/count_tokens", """{"model":"demo","messages":[{"role":"user","content":"a b c"}]}""")).GetProperty("input_tokens").GetInt32().ShouldBe(3);
        var tokens = await JsonAsync(mock, "/tokenize", """{"content":"warp and weft"}""");
        (tokens.GetProperty("count").GetInt32(), tokens.GetProperty("tokens").GetArrayLength()).ShouldBe((3, 3));
        var ranked = await JsonAsync(mock, "/v1/rerank", """{"model":"demo","query":"red yarn","documents":["blue cloth","red yarn","red cloth"]}""");
        ranked.GetProperty("results").EnumerateArray().Select(r => r.GetProperty("index").GetInt32()).ShouldBe([1, 2, 0]);
    }

    [Fact(Timeout = 240_000)]
    public async Task RouteThatIsNotDeclared_404()
    {
        await using var mock = await StartAsync("tokenize");

        using var answer = await PostAsync(mock, "/v1/rerank", """{"model":"demo","query":"q","documents":["a"]}""");

        answer.StatusCode.ShouldBe(HttpStatusCode.NotFound);
    }

    [Fact]
    public void Routes_UnknownName_IsRefusedWithThoseThereAre() =>
        Should.Throw<FormatException>(() => MockRoutes.Parse("responses,spin")).Message.ShouldContain("messages/count_tokens");

    private static Task<MockEngine> StartAsync(params string[] routes) =>
        MockEngine.StartAsync(new MockEngineOptions { Routes = [.. routes] }, TimeProvider.System, static () => { }, TestContext.Current.CancellationToken);

    private static async Task<HttpResponseMessage> PostAsync(MockEngine mock, string path, string body)
    {
        using var client = new HttpClient();
        using var content = new StringContent(body, Encoding.UTF8, "application/json");
        return await client.PostAsync(new Uri(mock.Url + path), content, TestContext.Current.CancellationToken);
    }

    private static async Task<string> TextAsync(MockEngine mock, string path, string body)
    {
        using var answer = await PostAsync(mock, path, body);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        answer.StatusCode.ShouldBe(HttpStatusCode.OK, text);
        return text;
    }

    private static async Task<JsonElement> JsonAsync(MockEngine mock, string path, string body)
    {
        using var json = JsonDocument.Parse(await TextAsync(mock, path, body));
        return json.RootElement.Clone();
    }

    private static List<JsonElement> Events(string stream) =>
        [.. stream.Split('\n').Where(l => l.StartsWith("data: ", StringComparison.Ordinal) && l != "data: [DONE]").Select(l => JsonDocument.Parse(l[6..]).RootElement)];
}
