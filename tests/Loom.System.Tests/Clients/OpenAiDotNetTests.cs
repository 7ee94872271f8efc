using System.ClientModel;
using System.ClientModel.Primitives;
using Loom.Testing;
using OpenAI;
using OpenAI.Chat;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Clients;

/// <summary>The unmodified OpenAI SDK for .NET; only the base address is changed.</summary>
public sealed class OpenAiDotNetTests(MockProject project) : IClassFixture<MockProject>
{
    private static readonly ChatMessage[] s_messages = [new UserChatMessage("the weaver")];

    [Fact]
    public async Task Models_List_NamesTheModel()
    {
        var models = await Client(project.Loom).GetOpenAIModelClient().GetModelsAsync();
        models.Value.Select(m => m.Id).ShouldContain("demo");
    }

    [Fact]
    public async Task Chat_WholeAndStreamed_SayTheSame()
    {
        var chat = Client(project.Loom).GetChatClient("demo");
        var options = new ChatCompletionOptions { MaxOutputTokenCount = 8 };
        var whole = (await chat.CompleteChatAsync(s_messages, options)).Value;
        whole.Usage.OutputTokenCount.ShouldBe(8);
        var streamed = "";
        ChatTokenUsage? usage = null;
        await foreach (var update in chat.CompleteChatStreamingAsync(s_messages, options))
        {
            streamed += string.Concat(update.ContentUpdate.Select(c => c.Text));
            usage = update.Usage ?? usage;
        }

        streamed.ShouldBe(whole.Content[0].Text);
        usage.ShouldNotBeNull().OutputTokenCount.ShouldBe(8);
    }

    [Fact]
    public async Task Chat_UnknownModel_Is404WithCode()
    {
        var error = await Should.ThrowAsync<ClientResultException>(async () => await Client(project.Loom).GetChatClient("no-such-model").CompleteChatAsync(s_messages));
        error.Status.ShouldBe(404);
        error.Message.ShouldContain("no-such-model");
    }

    [Fact]
    public async Task Embeddings_TwoInputs_TwoVectors()
    {
        var vectors = await Client(project.Loom).GetEmbeddingClient("demo").GenerateEmbeddingsAsync(["the loom", "the cloth"], new OpenAI.Embeddings.EmbeddingGenerationOptions());
        vectors.Value.Count.ShouldBe(2);
        vectors.Value[0].ToFloats().ToArray().Sum(v => v * v).ShouldBe(1f, 0.001f);
    }

    [Fact]
    public async Task Chat_StreamWhoseEngineIsKilled_Fails()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml("--tokens-per-second", "50", "--fault", "reset:5"));
        var pieces = 0;
        await Should.ThrowAsync<Exception>(async () =>
        {
            await foreach (var update in Client(loom).GetChatClient("demo").CompleteChatStreamingAsync(s_messages, new ChatCompletionOptions { MaxOutputTokenCount = 50 }))
            {
                pieces += update.ContentUpdate.Count;
            }
        });
        pieces.ShouldBeInRange(1, 5); // the reset may overtake what was sent just before it
    }

    private static OpenAIClient Client(RunningLoom loom) => new(
        new ApiKeyCredential("unused"),
        new OpenAIClientOptions { Endpoint = new Uri(loom.Api, "/v1"), RetryPolicy = new ClientRetryPolicy(0) });
}
