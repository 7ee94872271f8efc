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
    public void Unordered_OfManyEvents_AsksOnceForAPairAndIsAsDeepAsItLikes()
    {
        // Each fits its own and the one before; the last comes first, so that all others have to give theirs up.
        const int Count = 1500;
        var asked = 0;
        var takenBy = Pairing.Of(
            Count, Count, (one, i) =>
            {
                asked++;
                return one == Count - 1 ? i == 0 : i == one || i == one + 1;
            },
            _ => null, TestContext.Current.CancellationToken);
        takenBy.ShouldBe([Count - 1, .. Enumerable.Range(0, Count - 1)]);
        asked.ShouldBeLessThanOrEqualTo((Count * Count) + Count);

        // None of them fits: each is looked at once more, and no more.
        asked = 0;
        Pairing.Of(400, 400, (_, _) => asked++ < 0, _ => null, TestContext.Current.CancellationToken).ShouldAllBe(t => t == -1);
        asked.ShouldBe((400 * 400) + 400);
        var equal = Enumerable.Repeat("""{"n":1}""", 5000).ToArray();
        EventMatch.Compare(Expected(equal), [.. equal.Select(Seen)], MatchRules.Unordered, TestContext.Current.CancellationToken).ShouldBeEmpty();
    }

    [Fact]
    public void Unordered_OfAnyPairs_PairsAsManyAsCanBe() => Prop.ForAll(
        ArbMap.Default.ArbFor<bool[]>(),
        bits =>
        {
            var size = (int)Math.Min(5, Math.Sqrt(bits.Length));
            bool Fits(int one, int i) => bits[(one * size) + i];
            int Most(int one, int taken) => one == size ? 0
                : Enumerable.Range(0, size).Where(i => (taken & (1 << i)) == 0 && Fits(one, i)).Select(i => 1 + Most(one + 1, taken | (1 << i))).Append(Most(one + 1, taken)).Max();
            var takenBy = Pairing.Of(size, size, Fits, _ => null, CancellationToken.None);
            return takenBy.Where(t => t >= 0).Distinct().Count() == Most(0, 0) && takenBy.Count(t => t >= 0) == Most(0, 0)
                && takenBy.Select((one, i) => one < 0 || Fits(one, i)).All(ok => ok);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Compare_ThatTakesTooLong_IsGivenUp() => Should.Throw<OperationCanceledException>(
        () => EventMatch.Compare(Expected("1", "2"), [Seen("3"), Seen("4")], MatchRules.Unordered, new CancellationToken(canceled: true)));

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
