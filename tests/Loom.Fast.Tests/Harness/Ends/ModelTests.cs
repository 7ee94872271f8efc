using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Models;
using Loom.Harness.Expressions;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Ends;

public class ModelTests
{
    private const string Chat = """{"id":"c1","model":"m","choices":[{"message":{"role":"assistant","content":"blue"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}""";

    private static ModelClients Clients(HttpClient http, ModelEndpoint? endpoint = null) =>
        new(http, TimeProvider.System, [endpoint ?? new ModelEndpoint(ModelEndpoint.Gateway, new Uri("http://127.0.0.1:8080/v1/"))]);

    private static Event<JsonElement> Item(string json, int n = 0) => new(EventId.Root("in:0", n), JsonElement.Parse(json), key: "k");

    private static async Task<Event<JsonElement>> AskAsync(LlmOptions options, IModelClients models, string json, Stage? stage = null)
    {
        var llm = await (stage ?? new Stage()).SetUpAsync(new LlmComponent(options, models));
        var output = new Emitter<JsonElement>();
        await llm.HandleAsync(0, Item(json), output, default);
        return output.Single();
    }

    [Fact]
    public async Task Llm_Prompt_IsSentAndTheAnswerAdded()
    {
        var (http, stub) = StubHttp.Of(200, Chat);
        await using var stage = new Stage();
        var endpoint = new ModelEndpoint(ModelEndpoint.Gateway, new Uri("http://127.0.0.1:8080/v1/")) { Token = () => "secret" };
        var options = new LlmOptions { Model = "m", Prompt = Template.Compile("Colour of {{ $.thing }}?"), System = Template.Compile("Be short."), MaxTokens = 5, Temperature = 0, Seed = 3 };
        var made = await AskAsync(options, Clients(http, endpoint), """{"thing":"sky","answer":"old"}""", stage);
        made.Data.GetRawText().ShouldBe("""{"thing":"sky","answer":"blue"}""");
        (made.Id.ToString(), made.Key, made.Mock).ShouldBe(("in:0:0/0", "k", false));
        var (request, body) = stub.Seen.Single();
        request.RequestUri!.ToString().ShouldBe("http://127.0.0.1:8080/v1/chat/completions");
        request.Headers.Authorization!.ToString().ShouldBe("Bearer secret");
        body.ShouldBe("""{"model":"m","messages":[{"role":"system","content":"Be short."},{"role":"user","content":"Colour of sky?"}],"max_tokens":5,"temperature":0,"seed":3}""");
        stage.Counters["completion_tokens"].ShouldBe(2);
    }

    [Theory]
    [InlineData("""{"prompt":"hello"}""", "hello")]
    [InlineData("\"hello\"", "hello")]
    public async Task Llm_WithoutPrompt_AsksThePayload(string payload, string asked)
    {
        var (http, stub) = StubHttp.Of(200, Chat);
        (await AskAsync(new LlmOptions { Into = "" }, Clients(http), payload)).Data.GetRawText().ShouldBe("\"blue\"");
        stub.Seen[0].Body.ShouldContain($"\"content\":\"{asked}\"");
        (await Should.ThrowAsync<ItemException>(() => AskAsync(new LlmOptions(), Clients(http), "{}"))).Code.ShouldBe("missing_field");
    }

    [Fact]
    public async Task Llm_MessagesFromTheEvent_AreSent()
    {
        var (http, stub) = StubHttp.Of(200, Chat);
        await AskAsync(new LlmOptions { MessagesFrom = Expression.Compile("$.m") }, Clients(http), """{"m":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}""");
        stub.Seen[0].Body.ShouldContain("""[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]""");
        (await Should.ThrowAsync<ItemException>(() => AskAsync(new LlmOptions { MessagesFrom = Expression.Compile("$.m") }, Clients(http), """{"m":[]}"""))).Code.ShouldBe("bad_messages");
    }

    [Theory]
    [InlineData(400, ErrorClass.Permanent)]
    [InlineData(401, ErrorClass.Configuration)]
    [InlineData(403, ErrorClass.Configuration)]
    [InlineData(404, ErrorClass.Configuration)]
    [InlineData(408, ErrorClass.Transient)]
    [InlineData(413, ErrorClass.Permanent)]
    [InlineData(429, ErrorClass.Transient)]
    [InlineData(500, ErrorClass.Transient)]
    [InlineData(503, ErrorClass.Transient)]
    public async Task Llm_Refusal_HasItsClass(int status, ErrorClass expected)
    {
        var (http, _) = StubHttp.Of(status, """{"error":{"message":"because","code":"some_code"}}""", ("Retry-After", "3"));
        var error = await Should.ThrowAsync<ItemException>(() => AskAsync(new LlmOptions(), Clients(http), "\"x\""));
        (error.Class, error.Code, error.RetryAfter).ShouldBe((expected, "some_code", TimeSpan.FromSeconds(3)));
        error.Message.ShouldContain("because");
    }

    [Fact]
    public async Task Llm_NobodyThere_IsTransient()
    {
        var (http, _) = StubHttp.Of((_, _) => throw new HttpRequestException("connection refused"));
        var error = await Should.ThrowAsync<ItemException>(() => AskAsync(new LlmOptions(), Clients(http), "\"x\""));
        (error.Class, error.Code).ShouldBe((ErrorClass.Transient, "model_unreachable"));
        var unknown = await Should.ThrowAsync<ItemException>(() => AskAsync(new LlmOptions { Provider = "none" }, Clients(http), "\"x\""));
        (unknown.Class, unknown.Code).ShouldBe((ErrorClass.Configuration, "unknown_provider"));
    }

    [Theory]
    [InlineData(Chat, "x-loom-mock")]
    [InlineData("""{"mock":true,"choices":[{"message":{"content":"x"}}]}""", "x-else")]
    public async Task Llm_AnswerOfAMock_MakesAMockEvent(string answer, string header)
    {
        var (http, _) = StubHttp.Of(200, answer, (header, "true"));
        (await AskAsync(new LlmOptions(), Clients(http), "\"x\"")).Mock.ShouldBeTrue();
    }

    [Theory]
    [InlineData("""{"label":"a"}""", null)]
    [InlineData("```json\\n{\\\"label\\\":\\\"b\\\"}\\n```", null)]
    [InlineData("""{\"label\":\"c\"}""", "answer_schema")]
    [InlineData("no json", "answer_no_json")]
    public async Task Llm_Schema_IsSentAndChecked(string content, string? code)
    {
        var text = content.Contains('\\', StringComparison.Ordinal) ? content : content.Replace("\"", "\\\"", StringComparison.Ordinal);
        var (http, stub) = StubHttp.Of(200, $$"""{"choices":[{"message":{"content":"{{text}}"},"finish_reason":"stop"}]}""");
        var schema = JsonElement.Parse("""{"type":"object","properties":{"label":{"enum":["a","b"]}},"required":["label"],"additionalProperties":false}""");
        var asking = AskAsync(new LlmOptions { Schema = schema }, Clients(http), "\"x\"");
        if (code is null)
        {
            (await asking).Data.GetProperty("answer").GetProperty("label").GetString()!.Length.ShouldBe(1);
        }
        else
        {
            var error = await Should.ThrowAsync<ItemException>(() => asking);
            (error.Code, error.Class).ShouldBe((code, ErrorClass.Transient));
        }

        stub.Seen[0].Body.ShouldContain("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"answer\",\"strict\":true,\"schema\":{\"type\":\"object\"");
    }

    [Fact]
    public async Task MockProvider_AnswersByTheSchemaAndSaysThatItIsAMock()
    {
        var (http, stub) = StubHttp.Of(500, "");
        var schema = JsonElement.Parse("""{"type":"object","properties":{"label":{"enum":["a","b"]},"score":{"type":"number","minimum":2},"tags":{"type":"array","minItems":1,"items":{"type":"string","minLength":6}}},"required":["label","score","tags"]}""");
        var made = await AskAsync(new LlmOptions { Schema = schema }, Clients(http, new ModelEndpoint("gateway", new Uri("http://x/")) { Mock = true }), "\"x\"");
        made.Mock.ShouldBeTrue();
        made.Data.GetRawText().ShouldBe("""{"data":"x","answer":{"label":"a","score":2,"tags":["mock--"]}}""");
        stub.Seen.ShouldBeEmpty();
    }

    [Fact]
    public async Task Embed_Batch_AsksInPiecesAndKeepsTheOrder()
    {
        var (http, stub) = StubHttp.Of((_, body) =>
        {
            // The answer's order is turned round; its indexes tell.
            var texts = JsonElement.Parse(body).GetProperty("input").EnumerateArray().Select(t => t.GetString()!).ToArray();
            var data = string.Join(',', texts.Select((t, i) => $$"""{"index":{{i}},"embedding":[{{t.Length}},0.5]}""").Reverse());
            return StubHttp.Answer(200, $$"""{"data":[{{data}}],"usage":{"prompt_tokens":{{texts.Length}} } }""", ("x-loom-mock", "true"));
        });
        await using var stage = new Stage();
        var embed = await stage.SetUpAsync(new EmbedComponent(new EmbedOptions { RequestTexts = 2 }, Clients(http)));
        var output = new BatchEmitter<JsonElement>();
        var items = Enumerable.Range(1, 5).Select(n => Item($$"""{"text":{{(n == 3 ? "3" : $"\"{new string('x', n)}\"")}}}""", n)).ToArray();
        await embed.HandleBatchAsync(Batch<JsonElement>.Of(items), output, default);
        output.Failures.Keys.ShouldBe([2]);
        output.Results.Select(r => (r.Index, r.Event.Data.GetProperty("embedding").GetRawText(), r.Event.Mock)).ShouldBe([(0, "[1,0.5]", true), (1, "[2,0.5]", true), (3, "[4,0.5]", true), (4, "[5,0.5]", true)]);
        stub.Seen.Count.ShouldBe(2);
        stage.Counters["prompt_tokens"].ShouldBe(4);
    }

    [Theory]
    [InlineData("""{"data":[]}""")]
    [InlineData("""{"data":[{"index":1,"embedding":[1]}]}""")]
    [InlineData("""{"data":[{"index":0,"embedding":["x"]}]}""")]
    [InlineData("nonsense")]
    public async Task Embed_AnswerThatDoesNotFit_IsTransient(string answer)
    {
        var (http, _) = StubHttp.Of(200, answer);
        await using var stage = new Stage();
        var embed = await stage.SetUpAsync(new EmbedComponent(new EmbedOptions(), Clients(http)));
        var error = await Should.ThrowAsync<ItemException>(async () => await embed.HandleAsync(0, Item("""{"text":"x"}"""), new Emitter<JsonElement>(), default));
        (error.Code, error.Class).ShouldBe(("bad_answer", ErrorClass.Transient));
    }
}
