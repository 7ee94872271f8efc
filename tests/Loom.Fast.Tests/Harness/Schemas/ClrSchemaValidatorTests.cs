using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Harness.Schemas;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Schemas;

public sealed class ClrSchemaValidatorTests
{
    private const string Schema = """
        {"type":"object","required":["id","name"],"properties":{"id":{"type":"integer","minimum":1,"maximum":100},"name":{"type":"string","minLength":1,"maxLength":3},
        "score":{"type":["number","null"],"exclusiveMaximum":10},"active":{"const":true},"kind":{"enum":["a","b",null]},"inner":{"type":"object","properties":{"depth":{"type":"integer","minimum":0.5}}}},"additionalProperties":false}
        """;

    public static TheoryData<Payload> Payloads => new(
        new Payload(1, "abc", 1.5, true, "a", new Inner(1)), new Payload(0, "abc", 1.5, true, "a", new Inner(1)), new Payload(101, "abc", 1.5, true, "a", new Inner(1)),
        new Payload(1, "", 1.5, true, "a", new Inner(1)), new Payload(1, "😀😀😀", 1.5, true, "a", new Inner(1)), new Payload(1, "abcd", 1.5, true, "a", new Inner(1)),
        new Payload(1, null!, 1.5, true, "a", new Inner(1)), new Payload(1, "abc", null, true, "a", new Inner(1)), new Payload(1, "abc", 10, true, "a", new Inner(1)),
        new Payload(1, "abc", 1.5, false, "a", new Inner(1)), new Payload(1, "abc", 1.5, true, "c", new Inner(1)), new Payload(1, "abc", 1.5, true, null, new Inner(1)),
        new Payload(1, "abc", 1.5, true, "a", null), new Payload(1, "abc", 1.5, true, "a", new Inner(0)));

    [Theory]
    [MemberData(nameof(Payloads))]
    public void Check_Payload_SameVerdictAsSerialised(Payload payload)
    {
        var schema = JsonElement.Parse(Schema);
        var clr = ClrSchemaValidator.TryCompile<Payload>(schema, JsonNamingPolicy.CamelCase).ShouldNotBeNull();
        var fault = clr.Check(payload);
        var json = JsonSerializer.SerializeToUtf8Bytes(payload, JsonSerializerOptions.Web);
        var expected = JsonSchemaValidator.Compile(schema).Check(json);
        (fault?.Pointer).ShouldBe(expected?.Pointer);
        (expected?.Message ?? "").ShouldStartWith(fault?.Message ?? "");
    }

    [Theory]
    [InlineData(Schema)]
    [InlineData("""{"properties":{"id":{"minimum":1}}}""")]
    [InlineData("""{"properties":{"name":{"maxLength":3}}}""")]
    [InlineData("""{"properties":{"score":{"maximum":10}}}""")]
    [InlineData("""{"properties":{"active":{"const":true}}}""")]
    [InlineData("""{"properties":{"kind":{"enum":["a"]}}}""")]
    [InlineData("""{"properties":{"inner":{"properties":{"depth":{"minimum":0.5}}}}}""")]
    public void Check_Success_AllocatesNothing(string schema)
    {
        var clr = ClrSchemaValidator.TryCompile<Payload>(JsonElement.Parse(schema), JsonNamingPolicy.CamelCase).ShouldNotBeNull();
        var payload = new Payload(1, "abc", 1.5, true, "a", new Inner(1));
        clr.Check(payload);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            clr.Check(payload);
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(1000);
    }

    [Fact]
    public void TryCompile_BeyondSimpleRecords_LeftToTheSerialised()
    {
        ClrSchemaValidator.TryCompile<Payload>(JsonElement.Parse("""{"pattern":"x"}"""), null).ShouldBeNull();
        ClrSchemaValidator.TryCompile<WithList>(JsonElement.Parse("""{"properties":{"Items":{"type":"array"}}}"""), null).ShouldBeNull();
        ClrSchemaValidator.TryCompile<Inner>(JsonElement.Parse("""{"required":["other"]}"""), null).ShouldBeNull();
        ClrSchemaValidator.TryCompile<WithList>(JsonElement.Parse("""{"type":"object"}"""), null).ShouldNotBeNull().Check(new WithList([])).ShouldBeNull();
    }

    public sealed record Payload(int Id, string Name, double? Score, bool Active, [property: JsonPropertyName("kind")] string? Type, Inner? Inner);

    public sealed record Inner(long Depth);

    public sealed record WithList(IReadOnlyList<int> Items);
}
