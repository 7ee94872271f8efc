using Loom.Node.Engines;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Node;

public sealed class EngineTextTests
{
    [Fact]
    public void LastWords_LogWithTimestamps_LastLineThatSaysSomething() =>
        EngineLog.LastWords("2026-01-02T03:04:05.000Z loading\n2026-01-02T03:04:06.000Z cannot open file\n2026-01-02T03:04:06.000Z \n\n").ShouldBe("cannot open file");

    [Fact]
    public void LastWords_EmptyLog_Null() => EngineLog.LastWords("").ShouldBeNull();

    [Fact]
    public void MemoryTrouble_OnlyLinesOfThisLifeCount()
    {
        const string Log = "2026-01-02T03:04:00.000Z CUDA error: out of memory\n2026-01-02T03:04:06.000Z segfault\n";
        EngineLog.SpeaksOfMemoryTrouble(Log, Fixtures.Now).ShouldBeFalse();
        EngineLog.SpeaksOfMemoryTrouble(Log, Fixtures.Now.AddMinutes(-1)).ShouldBeTrue();
    }

    [Fact]
    public void Facts_LlamaServerAnswers_AreUnderstood()
    {
        var facts = EngineClient.Facts(
            """{"status":"ok"}""",
            """{"object":"list","data":[{"id":"m","created":17,"meta":{"n_ctx":512}}]}""",
            """{"build_info":"b5000","default_generation_settings":{"n_ctx":2048}}""");
        (facts.Version, facts.Ctx, facts.Created).ShouldBe(("b5000", 2048, 17));
    }

    [Theory]
    [InlineData("""["chat","embeddings"]""", "chat embeddings")]
    [InlineData("""{"chat":true,"tools":false,"logprobs":"post_sampling"}""", "chat logprobs:post_sampling")]
    [InlineData("7", "")]
    public void Facts_Capabilities_ListsAndObjectsAreUnderstood(string capabilities, string told) =>
        string.Join(' ', EngineClient.Facts("", $$"""{"data":[{"id":"m","capabilities":{{capabilities}}}]}""", "").Capabilities).ShouldBe(told);

    [Fact]
    public void Facts_Garbage_SaysNothing() => EngineClient.Facts("[1]", "<html>", "{\"default_generation_settings\":5}").ShouldBe(EngineFacts.None);

    [Fact]
    public void Facts_HalfASurrogatePair_SaysNothing() =>
        EngineClient.Facts("""{"version":"\ud800"}""", "", "").ShouldBe(EngineFacts.None);

    [Theory]
    [InlineData("""{"\ud800":1}""", null)]
    [InlineData("""{"status":"loading","progress":0.5}""", 50)]
    [InlineData("""{"status":"loading"}""", null)]
    [InlineData("nothing", null)]
    public void LoadPercent_HealthAnswer_ShareBecomesPercent(string body, int? percent) => EngineClient.LoadPercent(body).ShouldBe(percent);
}
