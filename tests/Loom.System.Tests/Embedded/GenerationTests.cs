using System.Text.Json.Nodes;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Embedded;

public sealed class GenerationTests(DemoAdapter demo) : IClassFixture<DemoAdapter>
{
    private static readonly object[] s_weaver = [new { role = "user", content = "the weaver" }];

    private AdapterProcess Adapter => demo.Process;

    [Fact(Timeout = 240_000)]
    public async Task Chat_Streamed_EndsWithReasonUsageAndDone()
    {
        var events = await Adapter.StreamAsync("/v1/chat/completions", new { messages = s_weaver, stream = true, temperature = 0, stream_options = new { include_usage = true } });

        events[^1].ShouldBe("[DONE]");
        var chunks = events[..^1].ConvertAll(e => JsonNode.Parse(e)!);
        chunks.ShouldAllBe(c => (string)c["object"]! == "chat.completion.chunk" && (string)c["model"]! == "demo");
        chunks.Select(c => (string)c["id"]!).Distinct().Count().ShouldBe(1);
        ((string)chunks[0]["choices"]![0]!["delta"]!["role"]!).ShouldBe("assistant");
        string.Concat(chunks[..^1].Select(c => (string?)c["choices"]![0]!["delta"]!["content"])).ShouldBe(" knew that good work is never done too soon.");
        ((string)chunks[^2]["choices"]![0]!["finish_reason"]!).ShouldBe("stop");
        chunks[^1]["choices"]!.AsArray().ShouldBeEmpty();
        ((int)chunks[^1]["usage"]!["completion_tokens"]!).ShouldBe(10);
    }

    [Fact(Timeout = 240_000)]
    public async Task Chat_UsageNotAsked_IsNotSent()
    {
        var events = await Adapter.StreamAsync("/v1/chat/completions", new { messages = s_weaver, stream = true, temperature = 0, max_tokens = 3 });

        events.ShouldAllBe(e => e == "[DONE]" || JsonNode.Parse(e)!["usage"] == null);
        ((string)JsonNode.Parse(events[^2])!["choices"]![0]!["finish_reason"]!).ShouldBe("length");
    }

    [Fact(Timeout = 240_000)]
    public async Task Chat_SamePromptAgain_ReadsItFromTheCache()
    {
        var body = new { messages = new[] { new { role = "user", content = "the river and the wheel and the mill" } }, max_tokens = 2 };
        await Adapter.PostAsync("/v1/chat/completions", body);

        var (_, second) = await Adapter.PostAsync("/v1/chat/completions", body);

        var usage = second["usage"]!;
        ((int)usage["prompt_tokens_details"]!["cached_tokens"]!).ShouldBe((int)usage["prompt_tokens"]! - 1);
        ((int)second["timings"]!["prompt_n"]!).ShouldBe(1);
    }

    [Fact(Timeout = 240_000)]
    public async Task Completion_SameSeed_SameText()
    {
        async Task<string> Text(int seed)
        {
            var (status, body) = await Adapter.PostAsync("/v1/completions", new { prompt = "In the village", seed, max_tokens = 60, temperature = 1 });
            status.ShouldBe(200);
            return (string)body["choices"]![0]!["text"]!;
        }

        var first = await Text(11);
        (await Text(11)).ShouldBe(first);
        (await Text(12)).ShouldNotBe(first);
    }

    [Fact(Timeout = 240_000)]
    public async Task Completion_StopText_IsNeitherSentNorPassed()
    {
        var (_, body) = await Adapter.PostAsync("/v1/completions", new { prompt = "the weaver", temperature = 0, stop = new[] { "k is ne", "zzz" } });

        ((string)body["choices"]![0]!["text"]!).ShouldBe(" knew that good wor");
        ((string)body["choices"]![0]!["finish_reason"]!).ShouldBe("stop");
    }

    [Fact(Timeout = 240_000)]
    public async Task Completion_TokenIds_AreTakenAsTheyAre()
    {
        var (_, asText) = await Adapter.PostAsync("/v1/completions", new { prompt = "A", temperature = 0, max_tokens = 4 });
        var (_, asTokens) = await Adapter.PostAsync("/v1/completions", new { prompt = new[] { 0, 2 + 'A' }, temperature = 0, max_tokens = 4 });

        ((int)asTokens["usage"]!["prompt_tokens"]!).ShouldBe(2);
        ((string)asTokens["choices"]![0]!["text"]!).ShouldBe((string)asText["choices"]![0]!["text"]!);
    }

    [Fact(Timeout = 240_000)]
    public async Task Completion_LogitBias_BansAndForces()
    {
        var (_, plain) = await Adapter.PostAsync("/v1/completions", new { prompt = "the weaver", temperature = 0, max_tokens = 40 });
        var (_, endless) = await Adapter.PostAsync("/v1/completions", new { prompt = "the weaver", temperature = 0, max_tokens = 40, logit_bias = new Dictionary<string, int> { ["1"] = -100 } });

        ((string)plain["choices"]![0]!["finish_reason"]!).ShouldBe("stop");
        ((string)endless["choices"]![0]!["finish_reason"]!).ShouldBe("length"); // the end token is banned
    }

    [Fact(Timeout = 240_000)]
    public async Task Completion_FrequencyPenalty_BreaksRepetition()
    {
        object Body(double penalty) => new { prompt = "the weaver", temperature = 0, max_tokens = 60, frequency_penalty = penalty, logit_bias = new Dictionary<string, int> { ["1"] = -100 } };
        var (_, without) = await Adapter.PostAsync("/v1/completions", Body(0));
        var (_, with) = await Adapter.PostAsync("/v1/completions", Body(2));

        int Distinct(JsonNode body) => ((string)body["choices"]![0]!["text"]!).Split(' ').Distinct().Count();
        Distinct(with).ShouldBeGreaterThan(2 * Distinct(without));
    }

    [Fact(Timeout = 240_000)]
    public async Task Chat_Logprobs_AreOfTheSampledDistribution()
    {
        var (_, body) = await Adapter.PostAsync("/v1/chat/completions", new { messages = s_weaver, temperature = 0.7, top_k = 5, top_p = 1, min_p = 0, max_tokens = 20, logprobs = true, top_logprobs = 20, seed = 3 });

        var content = body["choices"]![0]!["logprobs"]!["content"]!.AsArray();
        content.Count.ShouldBe((int)body["usage"]!["completion_tokens"]!);
        foreach (var token in content)
        {
            var top = token!["top_logprobs"]!.AsArray();
            top.Count.ShouldBeLessThanOrEqualTo(5); // top_k cut the rest off
            top.Sum(t => Math.Exp((double)t!["logprob"]!)).ShouldBe(1, 1e-3);
            top.ShouldContain(t => (string)t!["token"]! == (string)token["token"]! && (double)t["logprob"]! == (double)token["logprob"]!);
        }

        string.Concat(content.Select(t => (string)t!["token"]!)).ShouldBe((string)body["choices"]![0]!["message"]!["content"]!);
    }

    [Fact(Timeout = 240_000)]
    public async Task Chat_JsonSchema_IsKept()
    {
        var schema = new { type = "object", properties = new { thread = new { type = "boolean" }, cloth = new { @enum = new[] { "wool", "silk" } } }, required = new[] { "thread", "cloth" } };
        var (status, body) = await Adapter.PostAsync("/v1/chat/completions", new { messages = s_weaver, seed = 1, response_format = new { type = "json_schema", json_schema = new { name = "x", schema } } });

        status.ShouldBe(200, body.ToJsonString());
        var answer = JsonNode.Parse((string)body["choices"]![0]!["message"]!["content"]!)!;
        answer["thread"]!.GetValueKind().ShouldBeOneOf(System.Text.Json.JsonValueKind.True, System.Text.Json.JsonValueKind.False);
        ((string)answer["cloth"]!).ShouldBeOneOf("wool", "silk");
    }

    [Fact(Timeout = 240_000)]
    public async Task Chat_FourAtOnce_ShareBatches()
    {
        // On a busy machine the first may be done before the next has been sent; then they have to try again.
        for (var round = 0; round == 0 || (round < 20 && await Adapter.MetricAsync("n_busy_slots_per_decode") <= 1); round++)
        {
            var streams = await Task.WhenAll(Enumerable.Range(0, 4).Select(seed => Adapter.StreamAsync(
                "/v1/chat/completions", new { messages = s_weaver, stream = true, seed, max_tokens = 400, logit_bias = new Dictionary<string, int> { ["1"] = -100 } })));

            streams.ShouldAllBe(events => events.Last() == "[DONE]" && events.Count > 400);
        }

        (await Adapter.MetricAsync("n_busy_slots_per_decode")).ShouldBeGreaterThan(1);
    }
}
