using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Loom.Harness.Schemas;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Schemas;

public sealed class JsonSchemaValidatorTests
{
    private const string Doc = """
        {"type":"object","required":["id","name"],"additionalProperties":false,"properties":{"id":{"type":"integer","minimum":1},
        "name":{"type":"string","minLength":1,"maxLength":3},"tags":{"type":"array","items":{"enum":["a","b",1,null]},"maxItems":2},"score":{"type":["number","null"]}}}
        """;

    [Theory]
    [InlineData("""{"id":1,"name":"x"}""", null, null)]
    [InlineData("""{ "name" : "\u00e9\ud83d\ude00z" , "id" : 1.0, "tags":["a",1.0,null], "score":null }""", null, "must have at most 2 items, not 3")]
    [InlineData("""{"id":1,"name":"\u00e9\ud83d\ude00z"}""", null, null)]
    [InlineData("""{"id":1,"name":"é😀zx"}""", "/name", "must have at most 3 characters, not 4")]
    [InlineData("""{"id":1,"name":"\n\ud83d\ude00\ud83d\ude00!"}""", "/name", "must have at most 3 characters, not 4")]
    [InlineData("""{"id":1}""", "/name", "is required and missing")]
    [InlineData("""{"id":"1","name":"x"}""", "/id", "must be an integer, not a string")]
    [InlineData("""{"id":1.5,"name":"x"}""", "/id", "must be an integer, not a number")]
    [InlineData("""{"id":0,"name":"x"}""", "/id", "must be at least 1")]
    [InlineData("""{"id":1,"name":"x","a/b~c":1}""", "/a~1b~0c", "is not allowed")]
    [InlineData("""{"id":1,"name":"x","tags":["a","c"]}""", "/tags/1", "is none of the values")]
    [InlineData("""{"id":1,"name":"x","score":"high"}""", "/score", "must be null or a number, not a string")]
    [InlineData("[]", "", "must be an object, not an array")]
    [InlineData("", "", "is not JSON")]
    [InlineData("""{"id":1,"name":"x"} 5""", "", "is not JSON")]
    [InlineData("""{"id":1,""", "", "is not JSON")]
    public void Check_Compiled_PointerAndReason(string json, string? pointer, string? reason)
    {
        var validator = Compile(Doc);
        validator.IsCompiled.ShouldBeTrue();
        var fault = validator.Check(Encoding.UTF8.GetBytes(json));
        if (reason is null)
        {
            fault.ShouldBeNull();
            return;
        }

        fault.ShouldNotBeNull();
        fault.Message.ShouldContain(reason);
        fault.Pointer.ShouldBe(pointer ?? "/tags");
    }

    [Theory]
    [InlineData("""{"type":"string","pattern":"^a"}""", "\"b\"", "", "does not match the pattern ^a")]
    [InlineData("""{"properties":{"a":{"anyOf":[{"type":"integer"},{"type":"string"}]}}}""", """{"a":true}""", "/a", "none of the schemas in anyOf")]
    [InlineData("""{"items":{"$ref":"#/$defs/x"},"$defs":{"x":{"type":"object","required":["k"],"properties":{"k":{"type":"integer"}}}}}""", """[{"k":1},{"k":"a"}]""", "/1/k", "must be an integer")]
    [InlineData("""{"uniqueItems":true}""", "[1,1]", "", "two equal items")]
    [InlineData("""{"format":"date-time","type":"string"}""", "\"x\"", "", "format date-time")]
    [InlineData("""{"enum":[1,{"a":1,"b":2}]}""", "\"1\"", "", "none of the values")]
    [InlineData("""{"allOf":[{"minLength":2}]}""", "\"😀\"", "", "at least 2 characters")]
    [InlineData("""{"allOf":[{"maxLength":1}]}""", "\"a\\n\"", "", "at most 1 characters")]
    [InlineData("""{"const":[1]}""", "[2]", "", "none of the values")]
    [InlineData("""{"properties":{"a":{"$ref":"#/$defs/x","minimum":5}},"$defs":{"x":{"type":"integer"}}}""", """{"a":4}""", "/a", "at least 5")]
    [InlineData("""{"not":{"required":["a"]}}""", """{"a":4}""", "", "fits the schema in not")]
    public void Check_Library_PointerAndReason(string schema, string json, string pointer, string reason)
    {
        var validator = Compile(schema);
        validator.IsCompiled.ShouldBeFalse();
        var fault = validator.Check(Encoding.UTF8.GetBytes(json)).ShouldNotBeNull();
        fault.Message.ShouldContain(reason);
        fault.Pointer.ShouldBe(pointer);
    }

    [Theory]
    [InlineData("""{"enum":[1,{"a":1,"b":2}]}""", """{"b":2.0,"a":1}""")]
    [InlineData("""{"allOf":[{"required":["a"]}]}""", "5")]
    [InlineData("""{"allOf":[{"maxLength":1}]}""", "\"😀\"")]
    [InlineData("""{"allOf":[{"type":"integer"}]}""", "1e2")]
    [InlineData("""{"allOf":[{"type":"integer"}]}""", "12345678901234567890")]
    [InlineData("""{"properties":{"a":true},"pattern":"x"}""", """{"a":[]}""")]
    public void Check_Library_JudgesAsJsonSchema(string schema, string json) => Compile(schema).Check(Encoding.UTF8.GetBytes(json)).ShouldBeNull();

    [Theory]
    [InlineData("""{"requierd":["a"]}""", "/requierd", "did you mean \"required\"?")]
    [InlineData("""{"properties":{"a":{"if":{}}}}""", "/properties/a/if", "not supported")]
    [InlineData("""{"items":{"contains":{}}}""", "/items/contains", "not supported")]
    [InlineData("""{"type":"int"}""", "/type", "did you mean \"integer\"?")]
    [InlineData("""{"type":5}""", "/type", "a list of strings")]
    [InlineData("""{"minimum":"5"}""", "/minimum", "a number is expected here, not a string")]
    [InlineData("""{"minLength":-1}""", "/minLength", "at least 0")]
    [InlineData("""{"enum":[]}""", "/enum", "at least one value")]
    [InlineData("""{"pattern":"("}""", "/pattern", "cannot be read")]
    [InlineData("""{"format":"int32"}""", "/format", "not checked by anyone")]
    [InlineData("""{"$ref":"http://127.0.0.1/x.json"}""", "/$ref", "outside this schema")]
    [InlineData("""{"$ref":"#/$defs/nope"}""", "/$ref", "leads nowhere")]
    [InlineData("""{"allOf":[{"x":1}]}""", "/allOf/0/x", "not supported")]
    [InlineData("[]", "", "a schema is an object")]
    [InlineData("""{"properties":{"a/b":{"nope":1}}}""", "/properties/a~1b/nope", "not supported")]
    public void Compile_Wrong_PointerAndAdvice(string schema, string pointer, string advice)
    {
        var error = Should.Throw<SchemaException>(() => Compile(schema));
        error.Message.ShouldContain(advice);
        error.Pointer.ShouldBe(pointer);
    }

    [Fact]
    public void Check_CompiledAndLibrary_SameVerdicts()
    {
        Prop.ForAll(Gen.Choose(0, int.MaxValue).ToArbitrary(), seed =>
        {
            var random = new Random(seed);
            var schema = JsonElement.Parse(RandomSchema(random, 3));
            var compiled = Compile(schema.GetRawText());
            compiled.IsCompiled.ShouldBeTrue(schema.GetRawText());
            var library = LibrarySchema.Compile(schema);
            for (var i = 0; i < 10; i++)
            {
                var json = Encoding.UTF8.GetBytes(RandomValue(random, 3));
                var ours = compiled.Check(json);
                var theirs = library.Check(json);
                (ours is null).ShouldBe(theirs is null, $"{schema.GetRawText()} {Encoding.UTF8.GetString(json)}: {ours} / {theirs}");
            }
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));
    }

    [Fact]
    public void Check_CompiledSuccess_AllocatesNothing()
    {
        var validator = Compile(Doc);
        var json = """{"id":12,"name":"abc","tags":["a","b"],"score":1.5}"""u8.ToArray();
        validator.Check(json).ShouldBeNull();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++)
        {
            validator.Check(json);
        }

        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(1000);
    }

    private static JsonSchemaValidator Compile(string schema) => JsonSchemaValidator.Compile(JsonElement.Parse(schema));

    private static string RandomSchema(Random random, int depth)
    {
        var parts = new List<string>();
        void Sometimes(double chance, Func<string> part)
        {
            if (random.NextDouble() < chance)
            {
                parts.Add(part());
            }
        }

        string[] types = ["null", "boolean", "object", "array", "number", "integer", "string"];
        Sometimes(0.5, () => random.Next(3) == 0
            ? $"\"type\":[{string.Join(",", types.Where(_ => random.Next(2) == 0).DefaultIfEmpty("string").Select(t => $"\"{t}\""))}]"
            : $"\"type\":\"{types[random.Next(types.Length)]}\"");
        Sometimes(0.3, () => $"\"required\":[{(random.Next(2) == 0 ? "\"a\"" : "\"b\",\"z\"")}]");
        Sometimes(0.2, () => $"\"minimum\":{Bound(random)}");
        Sometimes(0.2, () => $"\"maximum\":{Bound(random)}");
        Sometimes(0.1, () => $"\"exclusiveMinimum\":{Bound(random)}");
        Sometimes(0.1, () => $"\"exclusiveMaximum\":{Bound(random)}");
        foreach (var name in new[] { "Length", "Items", "Properties" })
        {
            Sometimes(0.15, () => $"\"min{name}\":{random.Next(3)}");
            Sometimes(0.15, () => $"\"max{name}\":{random.Next(4)}");
        }

        Sometimes(0.15, () => $"\"enum\":[{string.Join(",", Enumerable.Range(0, 4).Select(_ => Scalar(random)))}]");
        if (depth > 0)
        {
            Sometimes(0.5, () => $"\"properties\":{{\"a\":{RandomSchema(random, depth - 1)},\"b\":{RandomSchema(random, depth - 1)},\"c.d\":{{}}}}");
            Sometimes(0.3, () => $"\"additionalProperties\":{(random.Next(2) == 0 ? "false" : RandomSchema(random, depth - 1))}");
            Sometimes(0.4, () => $"\"items\":{RandomSchema(random, depth - 1)}");
        }

        return $"{{{string.Join(",", parts)}}}";
    }

    private static string RandomValue(Random random, int depth) => depth == 0 || random.Next(3) == 0
        ? Scalar(random)
        : random.Next(3) == 0
            ? $"[{string.Join(",", Enumerable.Range(0, random.Next(4)).Select(_ => RandomValue(random, depth - 1)))}]"
            : $"{{{string.Join(",", new[] { "a", "b", "c.d", "z" }.Where(_ => random.Next(2) == 0).Select(n => $"\"{n}\":{RandomValue(random, depth - 1)}"))}}}";

    private static string Scalar(Random random) => random.Next(6) switch
    {
        0 => "null",
        1 => "true",
        2 => "false",
        3 or 4 => Number(random),
        _ => new[] { "\"\"", "\"a\"", "\"1\"", "\"ab\"", "\"\\u00e9\"", "\"😀\"", "\"\\ud83d\\ude00x\"", "\"true\"", "\"2026-01-01T00:00:00Z\"" }[random.Next(9)],
    };

    // The library judges numbers above 64 bits as doubles: a bound up there would be judged to within one part in 10^16 only.
    private static string Bound(Random random) => s_numbers[random.Next(s_numbers.Length - 1)];

    private static string Number(Random random) => s_numbers[random.Next(s_numbers.Length)];

    private static readonly string[] s_numbers =
        ["0", "1", "1.0", "2", "-1", "1.5", "1e1", "3", "10", "9007199254740993", "9007199254740992", "-0.0", "12345678901234567890"];
}
