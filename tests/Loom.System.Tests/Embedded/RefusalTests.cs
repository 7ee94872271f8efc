using System.Text;
using System.Text.Json.Nodes;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Embedded;

public sealed class RefusalTests(DemoAdapter demo) : IClassFixture<DemoAdapter>
{
    [Theory(Timeout = 240_000)]
    [InlineData("""{"tools":[{"type":"function"}]}""", "unsupported_parameter", "tools")]
    [InlineData("""{"n":2}""", "unsupported_parameter", "n")]
    [InlineData("""{"store":true}""", "unsupported_parameter", "store")]
    [InlineData("""{"mirostat":2}""", "unsupported_parameter", "mirostat")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}""", "unsupported_parameter", "messages[0].content[0].type")]
    [InlineData("""{"messages":[{"role":"tool","content":"x"}]}""", "unsupported_parameter", "messages[0].role")]
    [InlineData("""{"response_format":{"type":"json_schema","json_schema":{"schema":{"type":"string","pattern":"a+"}}}}""", "unsupported_parameter", "response_format.json_schema.schema.pattern")]
    [InlineData("""{"messages":[]}""", "invalid_value", "messages")]
    [InlineData("""{"messages":[{"role":"wizard","content":"x"}]}""", "invalid_value", "messages[0].role")]
    [InlineData("""{"temperature":3}""", "invalid_value", "temperature")]
    [InlineData("""{"max_tokens":0}""", "invalid_value", "max_tokens")]
    [InlineData("""{"seed":1.5}""", "invalid_value", "seed")]
    [InlineData("""{"stop":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]}""", "invalid_value", "stop")]
    [InlineData("""{"top_logprobs":2}""", "invalid_value", "top_logprobs")]
    [InlineData("""{"logit_bias":{"99999999":1}}""", "invalid_value", "logit_bias")]
    [InlineData("""{"max_tokens":4000}""", "context_length_exceeded", "messages")]
    public async Task Chat_WhatCannotBeDone_IsNamed(string fields, string code, string param)
    {
        var body = JsonNode.Parse(fields)!.AsObject();
        body.TryAdd("messages", JsonNode.Parse("""[{"role":"user","content":"the weaver"}]"""));

        var (status, answer) = await demo.Process.PostAsync("/v1/chat/completions", body);

        status.ShouldBe(400, answer.ToJsonString());
        ((string)answer["error"]!["type"]!).ShouldBe("invalid_request_error");
        ((string)answer["error"]!["code"]!).ShouldBe(code);
        ((string)answer["error"]!["param"]!).ShouldBe(param);
    }

    [Fact(Timeout = 240_000)]
    public async Task Completion_PromptLongerThanTheContext_NamesTheLimit()
    {
        var (status, answer) = await demo.Process.PostAsync("/v1/completions", new { prompt = string.Concat(Enumerable.Repeat("the ", 2100)) });

        status.ShouldBe(400);
        ((string)answer["error"]!["code"]!).ShouldBe("context_length_exceeded");
        ((string)answer["error"]!["message"]!).ShouldContain("2048");
    }

    [Theory(Timeout = 240_000)]
    [InlineData("POST", "/v1/chat/completions", "{", 400)]
    [InlineData("POST", "/v1/chat/completions", "[]", 400)]
    [InlineData("GET", "/v1/chat/completions", null, 405)]
    [InlineData("GET", "/v1/nothing", null, 404)]
    public async Task Request_Malformed_GetsTheErrorShape(string method, string path, string? content, int expected)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Content = content is null ? null : new StringContent(content, Encoding.UTF8, "application/json") };
        using var answer = await demo.Process.Http.SendAsync(request);

        ((int)answer.StatusCode).ShouldBe(expected);
        JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"]!["message"].ShouldNotBeNull();
    }
}
