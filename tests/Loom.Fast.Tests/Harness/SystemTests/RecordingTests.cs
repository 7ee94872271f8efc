using System.Text.Json;
using Loom.Components;
using Loom.Fast.Tests.Harness.Architecture;
using Loom.Harness.Errors;
using Loom.Harness.Tests.Running;
using Loom.Harness.Tests.StandIns;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.SystemTests;

public sealed class RecordingTests
{
    private static readonly Dictionary<string, string> s_secrets = new() { ["KEY"] = "geheim-\"42\"", ["PART"] = "42" };

    [Fact]
    public void Open_OfLinesThatAreRight_AnswersByPayload()
    {
        var recording = Open("\uFEFF{\"in\":1,\"out\":[{\"port\":\"out\",\"data\":2}]}\r\n\n{\"in\":2,\"error\":{\"code\":\"busy\",\"message\":\"m\",\"retryable\":true}}\n");
        recording.Find(JsonElement.Parse("1.0"))!.Sent.ShouldHaveSingleItem().Data.GetRawText().ShouldBe("2");
        recording.Find(JsonElement.Parse("2"))!.Error!.Code.ShouldBe("busy");
        recording.Find(JsonElement.Parse("3")).ShouldBeNull();
    }

    [Theory]
    [InlineData("""{"in":1,"error":{"code":null,"message":"m"}}""")]
    [InlineData("""{"in":1,"error":{"code":"c","message":null}}""")]
    [InlineData("""{"in":1,"out":[{"port":null,"data":1}]}""")]
    [InlineData("""{"in":1,"out":[{"data":1}]}""")]
    [InlineData("""{"in":1}""")]
    [InlineData("[]")]
    public void Open_OfALineThatIsWrong_IsRefusedWithItsNumber(string line) =>
        Should.Throw<InvalidDataException>(() => Open("\n" + line)).Message.ShouldStartWith("/system/rec.jsonl:2: this is no recorded answer");

    [Fact]
    public void Open_OfWhatIsNoFile_IsRefused() =>
        Should.Throw<InvalidDataException>(() => Recording.Open("/system/rec", new MemorySystem().With("rec/a.jsonl", ""), s_secrets)).Message.ShouldContain("it is a folder");

    [Fact]
    public void Secret_InAText_IsTakenOutAlsoAsJsonWritesIt()
    {
        SecretText.In("boom geheim-\"42\" and 42", s_secrets).ShouldBe("boom [redacted:KEY] and [redacted:PART]");
        SecretText.In("""{"a":"geheim-\"42\""}""".Replace("\"42\"", "\\\"42\\\""), s_secrets).ShouldBe("""{"a":"[redacted:KEY]"}""");
        SecretText.In("""{"a":"geheim-\u002242\u0022"}""", s_secrets).ShouldBe("""{"a":"[redacted:KEY]"}""");
    }

    [Fact]
    public async Task Row_OfAFailure_ShowsNoSecret()
    {
        var errors = new TestErrors(s_secrets);
        var failure = new ItemFailure("ask", "in", default, null, default, JsonElement.Parse("1"), new ItemException("refused", "boom geheim-\"42\""), 1, false);
        await errors.TakeAsync(failure, TestContext.Current.CancellationToken);
        errors.Seen().ShouldHaveSingleItem().Data.GetProperty("message").GetString().ShouldBe("boom [redacted:KEY]");
        errors.Codes.ShouldBe(new Dictionary<string, long> { ["refused"] = 1 });
    }

    private static Recording Open(string text) => Recording.Open("/system/rec.jsonl", new MemorySystem().With("rec.jsonl", text), s_secrets);
}
