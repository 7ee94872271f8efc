using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Loom.Control.Gateway;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

public sealed class SseScannerTests
{
    [Theory]
    [InlineData("data: a\n\ndata: b", 9)]
    [InlineData("data: a\r\n\r\nx", 11)]
    [InlineData("data: a\n", 0)]
    [InlineData("data: a\r\n\r", 0)]
    [InlineData(": c\n\n", 5)]
    [InlineData("event: x\ndata: a\n\n", 18)]
    [InlineData("", 0)]
    public void FirstEvent_Text_EndsAfterTheBlankLine(string text, int length) => SseScanner.FirstEvent(Encoding.UTF8.GetBytes(text)).ShouldBe(length);

    [Theory]
    [InlineData("data: [DONE]\n\n", "Done")]
    [InlineData("data:[DONE]\r\n\r\n", "Done")]
    [InlineData(": queued\n\n", "Comment")]
    [InlineData("data: {\"choices\":[{\"delta\":{\"content\":\"usage\"}}]}\n\n", "Data")]
    [InlineData("data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{\"}}]}\n\n", "Data")]
    [InlineData("data: {\"choices\":[{\"delta\":{}}],\"usage\":null}\n\n", "Data")]
    [InlineData("data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n", "Data")]
    [InlineData("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n", "UsageOnly")]
    [InlineData("data: {\"usage\" : {\"prompt_tokens\":1,\"completion_tokens\":2},\"choices\":[ ]}\n\n", "UsageOnly")]
    [InlineData("data: {\"usage\" broken\n\n", "Data")]
    public void Classify_Event_IsTold(string text, string kind)
    {
        TokenUsage? usage = null;

        SseScanner.Classify(Encoding.UTF8.GetBytes(text), ref usage).ToString().ShouldBe(kind);

        usage.ShouldBe(text.Contains("prompt_tokens", StringComparison.Ordinal) ? new TokenUsage(1, 0, 2) : null);
    }

    [Fact]
    public void Usage_CachedTokensAndUnknownFields_AreRead()
    {
        var json = "{\"id\":{\"a\":[1]},\"choices\":[{\"x\":[{\"y\":1}]}],\"usage\":{\"prompt_tokens\":9,\"z\":[1],\"prompt_tokens_details\":{\"cached_tokens\":4,\"q\":{}},\"completion_tokens\":3}}"u8;

        TokenUsage.TryRead(json, out var usage, out var alone).ShouldBeTrue();

        usage.ShouldBe(new TokenUsage(9, 4, 3));
        alone.ShouldBeFalse();
    }

    // However a stream is cut into reads, the same events come out.
    [Fact]
    public void FirstEvent_AnyCut_FindsTheSameEvents()
    {
        const string Stream = "data: {\"a\":1}\n\n: ping\n\nevent: x\r\ndata: b\r\n\r\ndata: [DONE]\n\n";
        var whole = Encoding.UTF8.GetBytes(Stream);
        var expected = Events(whole, [whole.Length]);
        Prop.ForAll(Gen.Choose(1, 20).NonEmptyListOf().ToArbitrary(), cuts => Events(whole, [.. cuts]).SequenceEqual(expected)).QuickCheckThrowOnFailure();
        expected.Count.ShouldBe(4);
    }

    private static List<string> Events(byte[] bytes, int[] cuts)
    {
        var found = new List<string>();
        var buffered = new List<byte>();
        for (int at = 0, turn = 0; at < bytes.Length; turn++)
        {
            var take = Math.Min(cuts[turn % cuts.Length], bytes.Length - at);
            buffered.AddRange(bytes[at..(at + take)]);
            at += take;
            while (SseScanner.FirstEvent(buffered.ToArray()) is > 0 and var length)
            {
                found.Add(Encoding.UTF8.GetString([.. buffered[..length]]));
                buffered.RemoveRange(0, length);
            }
        }

        return found;
    }
}
