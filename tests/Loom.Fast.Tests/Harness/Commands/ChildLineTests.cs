using System.Text;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Commands;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Commands;

public sealed class ChildLineTests
{
    [Theory]
    [InlineData("")]
    [InlineData("Traceback (most recent call last):")]
    [InlineData("[1,2]")]
    [InlineData("{\"level\":\"info\"}")]
    [InlineData("{\"type\":7}")]
    [InlineData("{\"type\":\"done\",\"n\":1} and more")]
    [InlineData("{\"type\":\"done\",\"n\":")]
    [InlineData("{\"type\":\"a_message_of_the_future\"}")]
    public void Read_NoMessage_IsOutput(string line) => Read(line).ShouldBeOfType<ChildLine.Output>();

    [Fact]
    public void Read_InvalidUtf8_IsOutput() => ChildLine.Read([.. "{\"type\":\"done\",\"n\":1,\"x\":\""u8, 0xC3, 0x28, .. "\"}"u8]).ShouldBeOfType<ChildLine.Output>();

    [Theory]
    [InlineData("{\"type\":\"done\"}")]
    [InlineData("{\"type\":\"done\",\"n\":\"one\"}")]
    [InlineData("{\"type\":\"emit\",\"n\":1,\"data\":1}")]
    [InlineData("{\"type\":\"emit\",\"n\":1,\"port\":\"out\"}")]
    [InlineData("{\"type\":\"emit\",\"n\":1,\"port\":\"out\",\"data\":1,\"headers\":{\"a\":1}}")]
    [InlineData("{\"type\":\"error\",\"n\":1,\"code\":\"x\"}")]
    [InlineData("{\"type\":\"ready\",\"v\":2}")]
    [InlineData("{\"type\":\"ready\",\"v\":1,\"max_in_flight\":0}")]
    [InlineData("{\"type\":\"state\",\"id\":1}")]
    public void Read_KnownMessageWithAWrongField_IsMalformed(string line) => Read(line).ShouldBeOfType<ChildLine.Malformed>().Why.ShouldNotBeEmpty();

    [Fact]
    public void Read_EmitOfNestedData_AsDeepAsAPayloadMayAndNoDeeper()
    {
        static string Emit(int levels) => $$"""{"type":"emit","n":1,"port":"out","data":{{new string('[', levels)}}{{new string(']', levels)}}}""";

        Read(Emit(64)).ShouldBeOfType<ChildLine.Emit>();
        Read(Emit(65)).ShouldBeOfType<ChildLine.Malformed>().Why.ShouldContain("more than 64 levels deep");
        Read($$"""{"type":"state","id":1,"data":{{new string('[', 90)}}{{new string(']', 90)}}}""").ShouldBeOfType<ChildLine.State>();
        Read(Emit(2000)).ShouldBeOfType<ChildLine.Output>();
        Read(Emit(65).Replace("\"emit\"", "7", StringComparison.Ordinal)).ShouldBeOfType<ChildLine.Output>();
        Read(Emit(65).Replace("\"emit\"", "{}", StringComparison.Ordinal)).ShouldBeOfType<ChildLine.Output>();
    }

    [Fact]
    public void Read_Messages_HaveTheirFields()
    {
        Read("""{"type":"ready","v":1}""").ShouldBe(new ChildLine.Ready(new ChildReady(16, false, false, false, false)));
        Read("""{"type":"ready","v":1,"max_in_flight":3,"stateful":true,"batch":true,"replayable":true,"stream":true}""")
            .ShouldBe(new ChildLine.Ready(new ChildReady(3, true, true, true, true)));
        var emit = Read("""{"type":"emit","n":4,"port":"out","data":{"a":1},"key":"k","headers":{"h":"v"},"index":2}""").ShouldBeOfType<ChildLine.Emit>();
        (emit.N, emit.Event.Port, emit.Event.Key, emit.Event.Index).ShouldBe((4L, "out", "k", 2));
        emit.Event.Data.GetRawText().ShouldBe("""{"a":1}""");
        emit.Event.Headers.ShouldBe(new Dictionary<string, string> { ["h"] = "v" });
        Read("""{"type":"emit","port":"out","data":null}""").ShouldBeOfType<ChildLine.Emit>().N.ShouldBeNull();
        var error = Read("""{"type":"error","n":4,"index":1,"code":"quota","message":"m","retryable":true}""").ShouldBeOfType<ChildLine.Error>();
        (error.N, error.Failure.Index, error.Failure.Error.Code, error.Failure.Error.Class).ShouldBe((4L, 1, "quota", ErrorClass.Transient));
    }

    [Fact]
    public void Budget_RestartsInTheWindow_DoubleAndRunOut()
    {
        var budget = new RestartBudget(new RestartPlan { Attempts = 5, Within = TimeSpan.FromSeconds(60), Backoff = TimeSpan.FromSeconds(1) });
        var now = DateTimeOffset.UnixEpoch;
        Enumerable.Range(0, 6).Select(_ => budget.Take(now)?.TotalSeconds).ShouldBe([1, 2, 4, 8, 10, null]);
        budget.Take(now + TimeSpan.FromSeconds(61)).ShouldBe(TimeSpan.FromSeconds(1));
    }

    private static ChildLine Read(string line) => ChildLine.Read(Encoding.UTF8.GetBytes(line));
}
