using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sources;
using Loom.Harness.Components.BuiltIns.Transform;
using Loom.Harness.Expressions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.BuiltIns;

public sealed class TransformTests
{
    [Fact]
    public async Task Filter_Condition_PassesUnchangedUnderTheSameId()
    {
        var filter = new FilterTransformer(new FilterOptions { Condition = Hand.Expr("data.n > 1") });
        (await filter.Give("""{"n":2}""", 7)).ShouldBe(["src:0:7 {\"n\":2}"]);
        (await filter.Give("""{"n":1}""")).ShouldBeEmpty();
        (await Should.ThrowAsync<ItemException>(async () => await filter.Give("{}"))).Code.ShouldBe("missing_field");
    }

    [Theory]
    [InlineData("drop", 0)]
    [InlineData("pass", 1)]
    public async Task Filter_Missing_ByTheRule(string rule, int passed)
    {
        var filter = new FilterTransformer(new FilterOptions { Condition = Hand.Expr("data.n > 1"), OnMissing = Enum.Parse<OnMissing>(rule, ignoreCase: true) });
        (await filter.Give("{}")).Length.ShouldBe(passed);
        (await Should.ThrowAsync<ItemException>(async () => await filter.Give("""{"n":"x"}"""))).Code.ShouldBe("expression_error");
    }

    [Fact]
    public void Filter_NoCondition_Refused() =>
        Hand.Faults(new FilterOptions { Condition = Hand.Expr("1 + 1") }).ShouldHaveSingleItem().ShouldContain("must give a bool");

    [Fact]
    public async Task Map_Expr_NewPayload()
    {
        var map = new MapTransformer(new MapOptions { Expr = Hand.Expr("{'id': data.id, 'total': data.items.map(i, i.p * i.n)}") });
        (await map.Give("""{"id":1,"items":[{"p":2,"n":3},{"p":0.5,"n":2}]}""", 3)).ShouldBe(["src:0:3/0 {\"id\":1,\"total\":[6,1]}"]);
    }

    [Fact]
    public async Task Map_Fields_SetInPlaceRemovedAndKept()
    {
        var map = new MapTransformer(new MapOptions
        {
            Set = new Dictionary<string, Expression> { ["b"] = Hand.Expr("data.b + 1"), ["new"] = Hand.Expr("data.a") },
            Remove = ["c"],
        });
        (await map.Give("""{"a":"x","b":1,"c":2,"d":null}""")).ShouldBe(["src:0:0/0 {\"a\":\"x\",\"b\":2,\"d\":null,\"new\":\"x\"}"]);
        var only = new MapTransformer(new MapOptions { Set = new Dictionary<string, Expression> { ["n"] = Hand.Expr("1") }, Only = ["a"] });
        (await only.Give("""{"a":"x","b":1}""")).ShouldBe(["src:0:0/0 {\"a\":\"x\",\"n\":1}"]);
        (await Should.ThrowAsync<ItemException>(async () => await only.Give("5"))).Message.ShouldContain("use expr");
    }

    [Fact]
    public async Task Map_KeyAndTime_OnTheEvent()
    {
        var map = new MapTransformer(new MapOptions { Key = Hand.Expr("data.user"), Time = Hand.Expr("data.at") });
        var output = new Emitter<System.Text.Json.JsonElement>();
        await map.HandleAsync(0, Hand.Event("""{"user":5,"at":"2026-02-01T00:00:00Z"}"""), output, default);
        await map.HandleAsync(0, Hand.Event("""{"user":"u","at":1769860800}"""), output, default);
        (output[0].Key, output[0].Time).ShouldBe(("5", new DateTimeOffset(2026, 2, 1, 0, 0, 0, TimeSpan.Zero)));
        (output[1].Key, output[1].Time).ShouldBe(("u", Hand.Noon));
        await Should.ThrowAsync<ItemException>(async () => await map.Give("""{"user":"u","at":"soon"}"""));
    }

    [Fact]
    public void Map_Contradiction_Refused()
    {
        Hand.Faults(new MapOptions { Expr = Hand.Expr("1"), Remove = ["a"] }).ShouldHaveSingleItem().ShouldContain("leave out");
        Hand.Faults(new MapOptions()).ShouldHaveSingleItem().ShouldContain("change nothing");
    }

    [Fact]
    public async Task Template_Text_IntoAField()
    {
        (await new TemplateTransformer(new TemplateOptions { Text = Template.Compile("Hi {{ data.n }}") }).Give("""{"n":"A","text":"old"}"""))
            .ShouldBe(["src:0:0/0 {\"n\":\"A\",\"text\":\"Hi A\"}"]);
        (await new TemplateTransformer(new TemplateOptions { Text = Template.Compile("{{ data.x }}!"), Into = "", Missing = MissingRule.Empty }).Give("""{"n":"A"}"""))
            .ShouldBe(["src:0:0/0 \"!\""]);
    }

    [Fact]
    public async Task Route_Rules_FirstOrAllOrDefault()
    {
        RouteRule[] rules = [new() { Port = "big", When = Hand.Expr("data.n > 10") }, new() { Port = "even", When = Hand.Expr("data.n % 2 == 0") }];
        var first = new RouteRouter(new RouteOptions { Rules = rules, Default = "rest" });
        (await first.Give("""{"n":12}""")).ShouldBe(["big src:0:0 {\"n\":12}"]);
        (await first.Give("""{"n":4}""")).ShouldBe(["even src:0:0 {\"n\":4}"]);
        (await first.Give("""{"n":3}""")).ShouldBe(["rest src:0:0 {\"n\":3}"]);
        var all = new RouteRouter(new RouteOptions { Rules = rules, Match = RouteMatch.All });
        (await all.Give("""{"n":12}""")).Length.ShouldBe(2);
        (await Should.ThrowAsync<ItemException>(async () => await all.Give("""{"n":3}"""))).Code.ShouldBe("unrouted");
        Hand.Faults(new RouteOptions { Rules = [new RouteRule { Port = "errors", When = Hand.Expr("1") }] }).Length.ShouldBe(2);
    }

    [Fact]
    public async Task Parse_Json_PayloadOrField()
    {
        (await new ParseTransformer(new ParseOptions { Format = ParseFormat.Json }).Give("""{"text":"[1]"}""")).ShouldBe(["src:0:0/0 [1]"]);
        (await new ParseTransformer(new ParseOptions { Format = ParseFormat.Json, From = Hand.Expr("data.line"), Into = "doc" }).Give("""{"line":"{\"a\":1}"}"""))
            .ShouldBe(["src:0:0/0 {\"line\":\"{\\\"a\\\":1}\",\"doc\":{\"a\":1}}"]);
        (await Should.ThrowAsync<ItemException>(async () => await new ParseTransformer(new ParseOptions { Format = ParseFormat.Json }).Give("""{"text":"{"}"""))).Code.ShouldBe("parse_error");
    }

    [Fact]
    public async Task Parse_Csv_OneEventARecord()
    {
        var parse = new ParseTransformer(new ParseOptions { Format = ParseFormat.Csv, Types = new Dictionary<string, CsvType> { ["n"] = CsvType.Int } });
        (await parse.Give("""{"text":"name,n\r\n\"a,b\",1\nc,\n"}""")).ShouldBe(["src:0:0/0 {\"name\":\"a,b\",\"n\":1}", "src:0:0/1 {\"name\":\"c\",\"n\":null}"]);
        (await Should.ThrowAsync<ItemException>(async () => await parse.Give("""{"text":"name,n\na,x"}"""))).Message.ShouldContain("\"n\"");
        (await Should.ThrowAsync<ItemException>(async () => await parse.Give("""{"text":"name,n\na"}"""))).Message.ShouldContain("record 2 has 1 fields");
        var named = new ParseTransformer(new ParseOptions { Format = ParseFormat.Csv, From = Hand.Expr("data.line"), Columns = ["a", "b"], Delimiter = "\\t" });
        (await named.Give("""{"line":"1\t2"}""")).ShouldBe(["src:0:0/0 {\"a\":\"1\",\"b\":\"2\"}"]);
    }

    [Fact]
    public async Task Parse_Text_NamedGroups()
    {
        var parse = new ParseTransformer(new ParseOptions
        {
            Format = ParseFormat.Text,
            From = Hand.Expr("data.line"),
            Pattern = @"^(?<level>[A-Z]+)(?: \[(?<thread>[^\]]+)\])? (?<ms>[0-9]+) (?<message>.*)$",
            Types = new Dictionary<string, CsvType> { ["ms"] = CsvType.Int },
        });
        (await parse.Give("""{"line":"WARN 12 slow"}""")).ShouldBe(["src:0:0/0 {\"level\":\"WARN\",\"thread\":null,\"ms\":12,\"message\":\"slow\"}"]);
        (await Should.ThrowAsync<ItemException>(async () => await parse.Give("""{"line":"?"}"""))).Code.ShouldBe("parse_error");
        Hand.Faults(new ParseOptions { Format = ParseFormat.Text, Pattern = "a" }).ShouldHaveSingleItem().ShouldContain("named group");
        Hand.Faults(new ParseOptions { Format = ParseFormat.Text, Pattern = "(?<a>" }).ShouldHaveSingleItem().ShouldContain("refused");
        Hand.Faults(new ParseOptions { Format = ParseFormat.Text }).ShouldHaveSingleItem().ShouldContain("needs a pattern");
        Hand.Faults(new ParseOptions { Format = ParseFormat.Csv, Delimiter = "ab" }).ShouldHaveSingleItem().ShouldContain("one ASCII character");
    }

    [Fact]
    public async Task Split_Path_MembersAsPayloadOrField()
    {
        var split = new SplitTransformer(new SplitOptions { By = SplitBy.Path, From = Hand.Expr("data.items") });
        (await split.Give("""{"id":9,"items":[1,{"a":2}]}""")).ShouldBe(["src:0:0/0 1", "src:0:0/1 {\"a\":2}"]);
        var beside = new SplitTransformer(new SplitOptions { By = SplitBy.Path, From = Hand.Expr("data.items"), Into = "items" });
        (await beside.Give("""{"id":9,"items":[1,2]}""")).ShouldBe(["src:0:0/0 {\"id\":9,\"items\":1,\"index\":0}", "src:0:0/1 {\"id\":9,\"items\":2,\"index\":1}"]);
        (await Should.ThrowAsync<ItemException>(async () => await split.Give("""{"items":5}"""))).Code.ShouldBe("expression_error");
    }

    [Fact]
    public async Task Split_LinesAndSentences_WithPlaces()
    {
        (await new SplitTransformer(new SplitOptions { By = SplitBy.Lines }).Give("""{"text":"a\r\n\n b"}"""))
            .ShouldBe(["src:0:0/0 {\"text\":\"a\",\"index\":0,\"start\":0}", "src:0:0/1 {\"text\":\" b\",\"index\":1,\"start\":4}"]);
        var sentences = await new SplitTransformer(new SplitOptions { By = SplitBy.Sentences, Into = "" }).Give(
            """{"text":"Dr. Who met A. Turing at 3.5 km. Did they \"talk?\" Yes... they did!\n\nA heading\n\nEnd"}""");
        sentences.Select(s => s[(s.IndexOf(' ') + 1)..]).ShouldBe(
            ["\"Dr. Who met A. Turing at 3.5 km.\"", "\"Did they \\\"talk?\\\"\"", "\"Yes... they did!\"", "\"A heading\"", "\"End\""]);
    }

    [Fact]
    public void Chunks_AnyText_CoverAllWithinSizeAndOverlap()
    {
        var random = new Random(5);
        for (var round = 0; round < 300; round++)
        {
            var size = random.Next(1, 60);
            var overlap = random.Next(0, size);
            var text = string.Concat(Enumerable.Range(0, random.Next(0, 400)).Select(_ => random.Next(9) switch { 0 => " ", 1 => ". ", 2 => "\n", 3 => "\n\n", 4 => "😀", _ => "ab" }));
            var covered = new bool[text.Length];
            var last = -1;
            foreach (var (start, length) in Chunker.Cut(text, size, overlap))
            {
                length.ShouldBeInRange(1, Math.Max(size, 2));
                start.ShouldBeGreaterThan(last);
                last = start;
                char.IsLowSurrogate(text[start]).ShouldBeFalse();
                covered.AsSpan(start, length).Fill(true);
            }

            Enumerable.Range(0, text.Length).All(i => covered[i] || char.IsWhiteSpace(text[i])).ShouldBeTrue($"{round}: {text}");
        }
    }

    [Fact]
    public void Chunks_Prose_EndWhereSentencesEnd()
    {
        var text = "One sentence here. Another sentence there. A third one follows. And a fourth.";
        Chunker.Cut(text, 45, 0).Select(p => text.Substring(p.Start, p.Length)).ShouldBe(["One sentence here. Another sentence there.", "A third one follows. And a fourth."]);
        Chunker.Cut(text, 45, 10).Select(p => text.Substring(p.Start, p.Length)).ShouldBe(["One sentence here. Another sentence there.", "there. A third one follows. And a fourth."]);
    }
}
