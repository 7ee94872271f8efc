using System.Text;
using Loom.Control.Gateway;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

public sealed class SseRepairTests
{
    [Theory]
    [InlineData("""{"choices":[{"delta":{"content":"a"},"finish_reason":""}]}""", """{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}""")]
    [InlineData("""{"choices":[{"finish_reason" : "","delta":{}}]}""", """{"choices":[{"finish_reason" : null,"delta":{}}]}""")]
    public void FinishReason_Empty_BecomesNull(string data, string expected)
    {
        Repaired(data, out var told).ShouldBe(expected);

        told.ShouldBe([SseRepair.FinishReason]);
    }

    [Fact]
    public void ToolCalls_WithoutIndex_GetTheirPlaceAndTheOthersStayAsTheyAre()
    {
        Repaired("""{"choices":[{"delta":{"tool_calls":[{"id":"x","function":{"name":"f","arguments":"{\"index\":1}"}},{"index":7,"id":"y"},{}]},"finish_reason":null}]}""", out var told)
            .ShouldBe("""{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x","function":{"name":"f","arguments":"{\"index\":1}"}},{"index":7,"id":"y"},{"index":2}]},"finish_reason":null}]}""");

        told.ShouldBe([SseRepair.ToolCallIndex, SseRepair.ToolCallIndex]);
    }

    [Fact]
    public void BothFaults_InOneEvent_AreBothRepaired()
    {
        Repaired("""{"choices":[{"finish_reason":"","delta":{"tool_calls":[{"id":"x"}]}}]}""", out var told)
            .ShouldBe("""{"choices":[{"finish_reason":null,"delta":{"tool_calls":[{"index":0,"id":"x"}]}}]}""");

        told.Order().ShouldBe([SseRepair.FinishReason, SseRepair.ToolCallIndex]);
    }

    [Theory]
    [InlineData("""{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}""")]
    [InlineData("""{"choices":[{"delta":{},"finish_reason":"stop"}]}""")]
    [InlineData("""{"choices":[{"delta":{"content":"\"finish_reason\":\"\""},"finish_reason":null}]}""")]
    [InlineData("""{"choices":[{"delta":{"content":"\"tool_calls\":[{}]"}}]}""")]
    [InlineData("""{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"x"}]}}]}""")]
    [InlineData("""{"choices":[{"delta":{"tool_calls":null}}]}""")]
    public void SoundEvent_IsNotTouched(string data)
    {
        Repaired(data, out var told).ShouldBeNull();

        told.ShouldBeEmpty();
    }

    [Theory]
    [InlineData("{not json")]
    [InlineData("{\"choices\":[{\"finish_reason\":\"\"")]
    [InlineData("oops")]
    public void MalformedEvent_PassesAsItCameAndIsCounted(string data)
    {
        Repaired(data, out var told).ShouldBeNull();

        told.ShouldBe([SseRepair.Malformed]);
    }

    [Fact]
    public void OtherLinesOfTheEvent_StayWhereTheyAre()
    {
        List<string> told = [];
        var whole = "event: chunk\r\ndata: {\"finish_reason\":\"\"}\r\nid: 5\r\n\r\n"u8;

        Encoding.UTF8.GetString(SseRepair.Of(whole, told.Add)!).ShouldBe("event: chunk\r\ndata: {\"finish_reason\":null}\r\nid: 5\r\n\r\n");
    }

    private static string? Repaired(string data, out List<string> told)
    {
        List<string> names = [];
        var result = SseRepair.Of(Encoding.UTF8.GetBytes($"data: {data}\n\n"), names.Add);
        told = names;
        return result is null ? null : Encoding.UTF8.GetString(result)["data: ".Length..].TrimEnd('\n');
    }
}
