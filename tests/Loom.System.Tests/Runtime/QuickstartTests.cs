using System.ClientModel;
using System.Net.Http.Json;
using System.Text.Json;
using Loom.Testing;
using OpenAI;
using OpenAI.Chat;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>The sample of the README with the real llama.cpp engine, from an empty project to words.</summary>
public sealed class QuickstartTests
{
    [Fact]
    public async Task Quickstart_RealEngine_ServesWordsAndDiesWithKill()
    {
        var toml = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "samples", "quickstart", "loom.toml"), TestContext.Current.CancellationToken);
        await using var loom = await RunningLoom.UpAsync(toml, ("ENGINE_PROVISIONER_CACHE_DIR", Path.Combine(Repository.Root, "artifacts", "test-cache")));
        using var http = new HttpClient { BaseAddress = loom.Api, Timeout = RunningLoom.Deadline };
        var answer = await http.PostAsJsonAsync(
            "/v1/chat/completions",
            new { model = "demo", max_tokens = 12, temperature = 0, messages = new[] { new { role = "user", content = "the weaver" } } },
            TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        answer.IsSuccessStatusCode.ShouldBeTrue(text);
        var document = JsonDocument.Parse(text).RootElement;
        var words = document.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
        words.Trim().Split(' ').Length.ShouldBeGreaterThan(3);
        (await StreamedBySdkAsync(loom)).ShouldBe(words);
        document.TryGetProperty("mock", out _).ShouldBeFalse();
        answer.Headers.Contains("x-loom-mock").ShouldBeFalse();
        answer.Headers.GetValues("x-loom-pool").ShouldBe(["default"]);

        await loom.KillAsync();
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(90));
        while (loom.Survivors().Count > 0 && !limit.IsCancellationRequested)
        {
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }

        loom.Survivors().ShouldBeEmpty();
    }

    private static async Task<string> StreamedBySdkAsync(RunningLoom loom)
    {
        var client = new ChatClient("demo", new ApiKeyCredential("unused"), new OpenAIClientOptions { Endpoint = new Uri(loom.Api, "/v1") });
        var text = "";
        var options = new ChatCompletionOptions { MaxOutputTokenCount = 12, Temperature = 0 };
        await foreach (var update in client.CompleteChatStreamingAsync([new UserChatMessage("the weaver")], options))
        {
            text += string.Concat(update.ContentUpdate.Select(c => c.Text));
        }

        return text;
    }
}
