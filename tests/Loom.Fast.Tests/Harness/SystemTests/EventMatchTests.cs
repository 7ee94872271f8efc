using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Loom.Harness.Tests;
using Loom.Harness.Tests.Matching;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.SystemTests;

public sealed class EventMatchTests
{
    [Theory]
    [InlineData("1", "1.0", null)]
    [InlineData("""{"a":1,"b":[2]}""", """{"b":[2],"a":1}""", null)]
    [InlineData("""{"a":1}""", """{"a":1,"b":2}""", ".b")]
    [InlineData("""{"a":1,"b":2}""", """{"a":1}""", ".b")]
    [InlineData("""{"a":{"b":[1,2]}}""", """{"a":{"b":[1,3]}}""", ".a.b[1]")]
    [InlineData("[1]", "[1,2]", "[1]")]
    [InlineData("\"1\"", "1", "")]
    public void Exact_OfTwoPayloads_NamesTheFirstDifference(string expected, string actual, string? path) => Differs(expected, actual, subset: false).ShouldBe(path);

    [Theory]
    [InlineData("""{"a":1}""", """{"a":1,"b":2}""", null)]
    [InlineData("""{"a":{"x":1}}""", """{"a":{"x":1,"y":2}}""", null)]
    [InlineData("""{"a":[{"x":1}]}""", """{"a":[{"x":1,"y":2}]}""", null)]
    [InlineData("""{"a":[1]}""", """{"a":[1,2]}""", ".a[1]")]
    [InlineData("""{"c":1}""", """{"a":1}""", ".c")]
    public void Subset_OfTwoPayloads_LooksAtNamedFieldsAlone(string expected, string actual, string? path) => Differs(expected, actual, subset: true).ShouldBe(path);

    [Fact]
    public void Exact_OfEventsInAnotherOrder_TellsEachWithItsLine()
    {
        var differences = EventMatch.Compare(Expected("""{"n":1}""", """{"n":2}"""), [Seen("""{"n":2}"""), Seen("""{"n":1}"""), Seen("""{"n":3}""")], MatchRules.Exact);
        differences.SelectMany(d => d.Lines()).ShouldBe(
        [
            "a.test.yaml:10:1: x.out: event 1 differs at n", "  - {\"n\":1}", "  + {\"n\":2}",
            "a.test.yaml:11:1: x.out: event 2 differs at n", "  - {\"n\":2}", "  + {\"n\":1}",
            "a.test.yaml:9:1: x.out: event 3 was not expected", "  + {\"n\":3}",
        ]);
    }

    [Fact]
    public void Unordered_WithSubset_FindsAPairingWhereThereIsOne()
    {
        // The first fits both: taking the first that fits would leave the second without one.
        var expected = Expected("""{"a":1}""", """{"a":1,"b":2}""");
        EventMatch.Compare(expected, [Seen("""{"a":1,"b":2}"""), Seen("""{"a":1,"b":3}""")], MatchRules.Unordered | MatchRules.Subset).ShouldBeEmpty();
        EventMatch.Compare(expected, [Seen("""{"a":1,"b":3}"""), Seen("""{"a":1,"b":4}""")], MatchRules.Unordered | MatchRules.Subset).Count.ShouldBe(2);
    }

    [Fact]
    public void Unordered_OfAnyPermutation_Matches() => Prop.ForAll(
        ArbMap.Default.ArbFor<int[]>(),
        numbers => EventMatch.Compare(Expected([.. numbers.Select(n => n.ToString(System.Globalization.CultureInfo.InvariantCulture))]), [.. numbers.Reverse().Select(n => Seen(n.ToString(System.Globalization.CultureInfo.InvariantCulture)))], MatchRules.Unordered).Count == 0)
        .QuickCheckThrowOnFailure();

    [Fact]
    public void Schema_ForAllEvents_TellsThoseThatDoNotFit()
    {
        var schema = Expected("""{"type":"object","required":["n"]}""") with { ForAll = true };
        EventMatch.Compare(schema, [Seen("""{"n":1}""")], MatchRules.Schema).ShouldBeEmpty();
        EventMatch.Compare(schema, [Seen("""{"n":1}"""), Seen("""{"m":1}""")], MatchRules.Schema).ShouldHaveSingleItem().Text.ShouldStartWith("x.out: event 2 does not fit the schema:");
        EventMatch.Compare(schema, [], MatchRules.Schema).ShouldHaveSingleItem().Text.ShouldBe("x.out: nothing came that could fit the schema");
    }

    [Fact]
    public void Event_WithKeyTimeAndMock_ComparesThoseAsked()
    {
        var expected = new ExpectedEvent(new TestPlace("a.test.yaml", 3, 1), JsonElement.Parse("1"), Key: "k", Mock: true);
        var one = new ExpectedEvents("x.out", new PortName("x", "out"), default, [expected]);
        EventMatch.Compare(one, [new SeenEvent(JsonElement.Parse("1"), "k", default, true)], MatchRules.Exact).ShouldBeEmpty();
        EventMatch.Compare(one, [new SeenEvent(JsonElement.Parse("1"), "k", default, false)], MatchRules.Exact).ShouldHaveSingleItem().Lines()
            .ShouldBe(["a.test.yaml:3:1: x.out: event 1 differs at mock", "  - 1 key k mock true", "  + 1 key k mock false"]);
    }

    private static string? Differs(string expected, string actual, bool subset) => JsonMatch.Differs(JsonElement.Parse(expected), JsonElement.Parse(actual), subset);

    private static SeenEvent Seen(string json) => new(JsonElement.Parse(json), null, default, false);

    private static ExpectedEvents Expected(params string[] events) => new(
        "x.out", new PortName("x", "out"), new TestPlace("a.test.yaml", 9, 1), [.. events.Select((e, i) => new ExpectedEvent(new TestPlace("a.test.yaml", 10 + i, 1), JsonElement.Parse(e)))]);
}
