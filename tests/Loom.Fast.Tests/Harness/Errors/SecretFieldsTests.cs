using System.Text;
using System.Text.Json;
using Loom.Harness.Api;
using Loom.Harness.Errors;
using Loom.Harness.Schemas;
using Loom.Harness.Secrets;
using Microsoft.Extensions.Logging;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Errors;

public sealed class SecretFieldsTests
{
    [Theory]
    [InlineData("""{"properties":{"a":{"x-secret":true}}}""", """{"a":1,"b":1}""", "/a")]
    [InlineData("""{"properties":{"a":{"x-secret":false}}}""", """{"a":1}""", "")]
    [InlineData("""{"properties":{"a/b":{"properties":{"c~":{"x-secret":true}}}}}""", """{"a/b":{"c~":1}}""", "/a~1b/c~0")]
    [InlineData("""{"items":{"properties":{"a":{"x-secret":true}}}}""", """[{"a":1},{"b":1},{"a":2}]""", "/0/a /2/a")]
    [InlineData("""{"additionalProperties":{"x-secret":true},"properties":{"a":{}}}""", """{"b":1}""", "/b")]
    [InlineData("""{"patternProperties":{"^s_":{"items":{"x-secret":true}}}}""", """{"s_x":[1,2]}""", "/s_x/0 /s_x/1")]
    [InlineData("""{"anyOf":[{"properties":{"a":{"x-secret":true}}},{"oneOf":[{"properties":{"b":{"x-secret":true}}}]}]}""", """{"a":1,"b":2,"c":3}""", "/a /b")]
    [InlineData("""{"properties":{"pin":{"x-secret":true},"next":{"$ref":"#"}}}""", """{"pin":1,"next":{"pin":2,"next":{"pin":3}}}""", "/next/next/pin /next/pin /pin")]
    [InlineData("""{"$ref":"#/definitions/a~1b","definitions":{"a/b":{"properties":{"a":{"x-secret":true}}}}}""", """{"a":{"b":1}}""", "/a")]
    [InlineData("""{"additionalProperties":{"x-secret":true},"properties":{"a":{}}}""", """{"a":1,"b":1}""", "/b")]
    [InlineData("""{"additionalProperties":false,"patternProperties":{"^a":{"x-secret":true}},"properties":{"a":{}}}""", """{"a":1}""", "/a")]
    [InlineData("""{"properties":{"a":{"$ref":"#/anyOf/1"}},"anyOf":[{},{"properties":{"b":{"x-secret":true}}}]}""", """{"a":{"b":1}}""", "/a/b")]
    public void Find_SchemaThatMarksAField_GivesItsPlaces(string schema, string payload, string places)
    {
        var found = new SortedSet<string>(StringComparer.Ordinal);
        if (SecretSchema.Of(JsonElement.Parse(schema)) is { } secret)
        {
            SecretSchema.Find([secret], JsonElement.Parse(payload), "", found);
        }

        string.Join(' ', found).ShouldBe(places);
    }

    [Fact]
    public void Key_PayloadWithANameThatIsNoText_IsMaskedByWhatItHolds()
    {
        var fields = SecretFields.Of(["""{"properties":{"a":{"x-secret":true}}}"""], new Dictionary<string, string>());
        var payload = JsonElement.Parse("""{"\ud83d":"geheim","a":"x"}""");
        var places = fields.In(payload);
        places.ShouldBe([""]);
        fields.Key("a geheim b", payload, places).ShouldBe(SecretFields.Mask);
        fields.Key("open", payload, places).ShouldBe("open");
    }

    [Theory]
    [InlineData("data.ssn", "data.ssn")]
    [InlineData("'p ' + string(data.ssn)", "data.ssn")]
    [InlineData("data", "data")]
    [InlineData("data.cards[0].number", "data.cards[0].number")]
    [InlineData("data.cards", "data.cards")]
    [InlineData("data.whole.of.it", "data.whole.of.it")]
    [InlineData("data.cards[0].bank", null)]
    [InlineData("data.id", null)]
    [InlineData("has(data.ssn) ? data.id : 'none'", null)]
    [InlineData("data.ssn == 'x'", null)]
    [InlineData("key", null)]
    public void ReadBy_Expression_NamesThePartThatPutsASecretIntoIt(string expression, string? part) => SecretFields.Of(
        ["""{"properties":{"id":{},"ssn":{"x-secret":true},"whole":{"x-secret":true},"cards":{"items":{"properties":{"number":{"x-secret":true},"bank":{}}}}}}"""],
        new Dictionary<string, string>()).ReadBy(Loom.Harness.Expressions.Expression.Compile(expression)).ShouldBe(part);

    [Theory]
    [InlineData("""{"properties":{"a":{"x-secret":"true"}}}""", "x-secret is true or false, not a string")]
    [InlineData("""{"not":{"properties":{"a":{"x-secret":true}}}}""", "x-secret marks nothing within not")]
    [InlineData("""{"prefixItems":[{"x-secret":true}]}""", "the keyword \"prefixItems\" is not supported")]
    [InlineData("""{"if":{"x-secret":true}}""", "the keyword \"if\" is not supported")]
    [InlineData("""{"contains":{"x-secret":true}}""", "the keyword \"contains\" is not supported")]
    [InlineData("""{"dependentSchemas":{"a":{"x-secret":true}}}""", "the keyword \"dependentSchemas\" is not supported")]
    [InlineData("""{"$dynamicRef":"#a"}""", "the keyword \"$dynamicRef\" is not supported")]
    [InlineData("""{"$ref":"#a","$defs":{"x":{"$anchor":"a","x-secret":true}}}""", "")]
    public void Check_MarkThatWouldMarkNothing_IsRefused(string schema, string why) =>
        Should.Throw<SchemaException>(() => SchemaKeywords.Check(JsonElement.Parse(schema))).Message.ShouldContain(why);

    [Fact]
    public void Check_FieldNamedNot_MayBeMarked() => SchemaKeywords.Check(JsonElement.Parse("""{"properties":{"not":{"x-secret":true}}}"""));

    [Fact]
    public void Letter_WithSecrets_KeepsThemForRetryAndSaysWhereTheyAre()
    {
        var record = new ErrorRecord
        {
            ErrorId = "1", Time = default, System = "s", Version = "1", Component = "c", Instance = "i", Port = "in", Event = new ErrorEvent("e", null, default),
            Attempt = 1, Code = "bad", Message = "m", Exceptions = [], Resources = new ResourceSample { SampledAt = default }, Mock = false, Retryable = false,
        };
        var line = DeadLetterLine.Of(new DeadLetter(record, new Dictionary<string, string>(), JsonElement.Parse("""{"a":"x","b":[1,{"c":2}]}""")) { Secrets = ["/a", "/b/1/c"] });
        var letter = DeadLetterLine.Read(line.WrittenSpan[..^1]).Letter!;
        letter.Payload.GetRawText().ShouldBe("""{"a":"x","b":[1,{"c":2}]}""");
        using var shown = new MemoryStream();
        using (var json = new Utf8JsonWriter(shown))
        {
            SecretFields.Write(json, letter.Payload, letter.Secrets);
        }

        Encoding.UTF8.GetString(shown.ToArray()).ShouldBe("""{"a":"[redacted]","b":[1,{"c":"[redacted]"}]}""");
        SecretFields.TextsAt(JsonElement.Parse("""{"a":"long one","b":[1,{"c":12345}],"d":"seen"}"""), ["/a", "/b"]).ShouldBe(["long one", "1", "12345"], ignoreOrder: true);
    }

    [Theory]
    [InlineData("pin 42 is 1429, (42) and 142", "pin # is 1429, (#) and 142")]
    [InlineData("42", "#")]
    [InlineData("""{"a":42,"b":"x-y"}""", """{"a":#,"b":"x-y"}""")]
    [InlineData("key hush and 42", "key [redacted:KEY] and #")]
    [InlineData("longer text, longer texts", "[redacted:field 2], [redacted:field 2]s")]
    public void Text_ThatQuotesShortSecrets_LosesThemWhereTheyStandAlone(string text, string shown) =>
        SecretText.Of(new Dictionary<string, string> { ["KEY"] = "hush" }).And(["42", "longer text"]).In(text).ShouldBe(shown.Replace("#", "[redacted:field 1]", StringComparison.Ordinal));

    [Theory]
    [InlineData("a", true)]
    [InlineData("7", true)]
    [InlineData("700", true)]
    [InlineData("eu/7", true)]
    [InlineData("has hush in it", true)]
    [InlineData("77", false)]
    [InlineData("plain", false)]
    public void Tap_KeyThatHoldsASecret_IsMaskedWhateverItsLength(string key, bool masked)
    {
        var fields = SecretFields.Of(["""{"properties":{"s":{"x-secret":true},"n":{"x-secret":true},"m":{"x-secret":true}}}"""], new Dictionary<string, string> { ["KEY"] = "hush" });
        var e = new Loom.Components.Event<JsonElement>(Loom.Components.EventId.Parse("s::1"), JsonElement.Parse("""{"s":"a","n":7,"m":7e2}"""), key, DateTimeOffset.UnixEpoch);
        JsonElement.Parse(TapText.Of(e, fields)).GetProperty("key").GetString().ShouldBe(masked ? "[redacted]" : key);
    }

    [Fact]
    public void Tap_OfAnErrorPort_ShowsTheKeyAsTheRecordHasIt()
    {
        var e = new Loom.Components.Event<JsonElement>(
            Loom.Components.EventId.Parse("s::1"), JsonElement.Parse("""{"event":{"id":"s::1","key":"[redacted:field 1]"}}"""), "078-05", DateTimeOffset.UnixEpoch);
        JsonElement.Parse(TapText.Of(e, SecretFields.None, isError: true)).GetProperty("key").GetString().ShouldBe("[redacted:field 1]");
    }

    [Fact]
    public void Shown_Payload_IsMaskedAndOtherwiseTheSame()
    {
        var fields = SecretFields.Of(["""{"properties":{"a":{"x-secret":true}}}"""], new Dictionary<string, string> { ["KEY"] = "hush" });
        fields.Shown(JsonElement.Parse("""{"a":1,"b":1.50,"c":"hush!"}""")).GetRawText().ShouldBe("""{"a":"[redacted]","b":1.50,"c":"[redacted]"}""");
        fields.Shown(JsonElement.Parse("""[1, 2]""")).GetRawText().ShouldBe("[1, 2]");
    }

    [Fact]
    public void Logs_OfASystemWithSecrets_ShowNoneAlsoNotInAStack()
    {
        var lines = new Lines();
        using var factory = SecretLogs.Of(lines, new Dictionary<string, string> { ["KEY"] = "hush-hush" });
        var log = factory.CreateLogger("c");
        log.Log(LogLevel.Error, default, "said hush-hush", new InvalidOperationException("thrown hush-hush"), static (s, _) => s);
        log.Log(LogLevel.Error, default, "nothing", new InvalidOperationException("here"), static (s, _) => s);
        lines.Written[0].ShouldStartWith("said [redacted:KEY]|");
        lines.Written[0].ShouldContain("thrown [redacted:KEY]");
        lines.Written[1].ShouldStartWith("nothing|System.InvalidOperationException: here");
        SecretLogs.Of(lines, new Dictionary<string, string>()).ShouldBeSameAs(lines);
    }

    private sealed class Lines : ILoggerFactory, ILogger
    {
        public List<string> Written { get; } = [];

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) => Written.Add($"{formatter(state, exception)}|{exception}");

        public void Dispose()
        {
        }
    }
}
