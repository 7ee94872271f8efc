using System.Text;
using Loom.Node.Mock;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Mock;

public sealed class MockTests
{
    [Theory]
    [InlineData("none", MockFaultKind.None, 0)]
    [InlineData("status:503", MockFaultKind.Status, 503)]
    [InlineData("crash:5", MockFaultKind.Crash, 5)]
    [InlineData("reset:0", MockFaultKind.Reset, 0)]
    [InlineData("hang-in-prefill", MockFaultKind.HangInPrefill, 0)]
    public void Fault_WrittenForm_IsRead(string text, MockFaultKind kind, int number) => MockFault.Parse(text).ShouldBe(new MockFault(kind, number));

    [Theory]
    [InlineData("explode")]
    [InlineData("crash:x")]
    [InlineData("status:200")]
    [InlineData("crash:-1")]
    public void Fault_Nonsense_IsRefusedWithTheGrammar(string text) => Should.Throw<FormatException>(() => MockFault.Parse(text)).Message.ShouldContain(text);

    [Fact]
    public void Text_SamePromptAndSeed_IsTheSame()
    {
        static string Say(string prompt, long seed) => string.Concat(Enumerable.Range(0, 20).Select(i => MockText.Word(MockText.Key(prompt, seed), i)));
        Say("the weaver", 1).ShouldBe(Say("the weaver", 1));
        Say("the weaver", 1).ShouldNotBe(Say("the weaver", 2));
        Say("the weaver", 1).ShouldNotBe(Say("the weavers", 1));
    }

    [Theory]
    [InlineData("", 0)]
    [InlineData("  a  bc\n d ", 3)]
    public void Text_Tokens_AreWords(string text, int tokens) => MockText.Words(text).Length.ShouldBe(tokens);

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"a b"}],"max_tokens":7,"seed":3,"stream":true,"stream_options":{"include_usage":true}}""")]
    public void Prompt_Chat_IsRead(string body)
    {
        var prompt = MockPrompt.Parse(Encoding.UTF8.GetBytes(body), "/v1/chat/completions", new MockEngineOptions());
        (prompt.Words.Length, prompt.MaxTokens, prompt.Seed, prompt.Stream, prompt.IncludeUsage).ShouldBe((2, 7, 3L, true, true));
    }

    [Theory]
    [InlineData("{", "invalid_value")]
    [InlineData("{}", "invalid_value")]
    [InlineData("""{"messages":[{"content":"a b c d"}],"max_tokens":7}""", "context_length_exceeded")]
    [InlineData("""{"messages":[{"content":"a"}],"max_tokens":1,"logprobs":true}""", "unsupported_parameter")]
    public void Prompt_Refusals_HaveOpenAiCodes(string body, string code)
    {
        var options = new MockEngineOptions { Ctx = 10, Logprobs = false };
        Should.Throw<MockRefusal>(() => MockPrompt.Parse(Encoding.UTF8.GetBytes(body), "/v1/chat/completions", options)).Code.ShouldBe(code);
    }

    [Fact]
    public async Task Slots_LongestCommonPrefix_IsChosen()
    {
        using var slots = new MockSlots(2);
        var (a, none) = await slots.TakeAsync([1, 2, 3], TestContext.Current.CancellationToken);
        var (b, _) = await slots.TakeAsync([7, 8], TestContext.Current.CancellationToken);
        none.ShouldBe(0);
        slots.Free.ShouldBe(0);
        slots.Release(a);
        slots.Release(b);
        var (again, cached) = await slots.TakeAsync([7, 8, 9], TestContext.Current.CancellationToken);
        again.ShouldBeSameAs(b);
        cached.ShouldBe(2);
    }
}
