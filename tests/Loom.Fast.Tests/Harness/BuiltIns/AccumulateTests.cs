using System.Diagnostics;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Keyed;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.BuiltIns;

public sealed class AccumulateTests
{
    private static readonly Dictionary<string, AggregateOption> s_sum = new() { ["n"] = new() { Op = AggregateOp.Count }, ["sum"] = new() { Op = AggregateOp.Sum, Of = Hand.Expr("data.v") } };

    [Fact]
    public async Task Tumbling_EventTime_ClosesWhenALaterEventComes()
    {
        var component = await Make(new AccumulateOptions { Key = Hand.Expr("data.k"), Size = TimeSpan.FromMinutes(1), Aggregates = s_sum });
        (await component.Give("""{"k":"a","v":1}""", 0, 5)).ShouldBeEmpty();
        (await component.Give("""{"k":"b","v":2}""", 1, 10)).ShouldBeEmpty();
        (await component.Give("""{"k":"a","v":2.5}""", 2, 59.9)).ShouldBeEmpty();
        (await component.Give("""{"k":"a","v":7}""", 3, 60)).ShouldBe([
            """c/a/2026-01-31T12:00:00Z {"key":"a","start":"2026-01-31T12:00:00Z","end":"2026-01-31T12:01:00Z","n":2,"sum":3.5}""",
            """c/b/2026-01-31T12:00:00Z {"key":"b","start":"2026-01-31T12:00:00Z","end":"2026-01-31T12:01:00Z","n":1,"sum":2}""",
        ]);
        (await Should.ThrowAsync<ItemException>(async () => await component.Give("""{"k":"a","v":1}""", 4, 59))).Code.ShouldBe("late");
        (await component.End()).ShouldHaveSingleItem().ShouldContain("\"n\":1,\"sum\":7");
        (await component.End()).ShouldBeEmpty();
    }

    [Fact]
    public async Task Tumbling_Lateness_KeepsTheWindowOpen()
    {
        var component = await Make(new AccumulateOptions { Size = TimeSpan.FromSeconds(10), Lateness = TimeSpan.FromSeconds(5), Aggregates = s_sum });
        (await component.Give("""{"v":1}""", 0, 1)).ShouldBeEmpty();
        (await component.Give("""{"v":1}""", 1, 14)).ShouldBeEmpty();
        (await component.Give("""{"v":1}""", 2, 9)).ShouldBeEmpty();
        (await component.Give("""{"v":1}""", 3, 15)).ShouldBe(["""c/*/2026-01-31T12:00:00Z {"start":"2026-01-31T12:00:00Z","end":"2026-01-31T12:00:10Z","n":2,"sum":2}"""]);
    }

    [Fact]
    public async Task Sliding_Event_BelongsToEveryWindowThatHoldsIt()
    {
        var component = await Make(new AccumulateOptions { Window = WindowKind.Sliding, Size = TimeSpan.FromSeconds(10), Every = TimeSpan.FromSeconds(4), Lateness = TimeSpan.FromSeconds(10), Aggregates = s_sum });
        await component.Give("""{"v":1}""", 0, 9);
        await component.Give("""{"v":2}""", 1, 13);
        (await component.End()).Select(o => o[(o.IndexOf("12:00:", StringComparison.Ordinal) + 6)..o.IndexOf("Z ", StringComparison.Ordinal)] + o[o.IndexOf("\"n\"", StringComparison.Ordinal)..])
            .ShouldBe(["00\"n\":1,\"sum\":1}", "04\"n\":2,\"sum\":3}", "08\"n\":2,\"sum\":3}", "12\"n\":1,\"sum\":2}"]);
    }

    [Fact]
    public async Task Session_Gap_EndsIt_AndAnEventBetweenTwoJoinsThem()
    {
        var component = await Make(new AccumulateOptions
        {
            Window = WindowKind.Session, Gap = TimeSpan.FromSeconds(10), Lateness = TimeSpan.FromSeconds(30), Key = Hand.Expr("data.k"),
            Aggregates = new Dictionary<string, AggregateOption>(s_sum) { ["all"] = new() { Op = AggregateOp.Collect, Of = Hand.Expr("data.v") }, ["last"] = new() { Op = AggregateOp.Last, Of = Hand.Expr("data.v") } },
        });
        await component.Give("""{"k":1,"v":1}""", 0, 0);
        await component.Give("""{"k":1,"v":2}""", 1, 15);
        await component.Give("""{"k":1,"v":3}""", 2, 8);
        (await component.Give("""{"k":2,"v":0}""", 3, 60)).ShouldBe(
            ["""c/1/2026-01-31T12:00:00Z {"key":1,"start":"2026-01-31T12:00:00Z","end":"2026-01-31T12:00:25Z","n":3,"sum":6,"all":[1,3,2],"last":2}"""]);
    }

    [Fact]
    public async Task Count_Events_NumberedPerKeyAndFlushedAtTheEnd()
    {
        var component = await Make(new AccumulateOptions { Window = WindowKind.Count, Count = 2, Key = Hand.Expr("data.k"), Aggregates = s_sum });
        await component.Give("""{"k":"a","v":1}""", 0, 3);
        (await component.Give("""{"k":"a","v":2}""", 1, 1)).ShouldBe(["""c/a/0 {"key":"a","start":"2026-01-31T12:00:01Z","end":"2026-01-31T12:00:03Z","n":2,"sum":3}"""]);
        await component.Give("""{"k":"a","v":3}""", 2, 4);
        (await component.End()).ShouldHaveSingleItem().ShouldStartWith("c/a/1 ");
    }

    [Fact]
    public async Task Processing_Clock_ClosesByTick()
    {
        var time = new ManualTimeProvider();
        time.Advance(Hand.Noon - DateTimeOffset.UnixEpoch);
        var component = await Make(new AccumulateOptions { Size = TimeSpan.FromSeconds(10), Time = WindowTime.Processing, Aggregates = s_sum }, time);
        component.Tick.ShouldNotBeNull();
        await component.Give("""{"v":1}""", 0, -1000);
        (await component.TickAt(Hand.Noon.AddSeconds(9))).ShouldBeEmpty();
        (await component.TickAt(Hand.Noon.AddSeconds(10))).ShouldHaveSingleItem().ShouldContain("\"sum\":1");
    }

    [Fact]
    public async Task Idle_SilentSource_ClosesByTheClock()
    {
        var time = new ManualTimeProvider();
        time.Advance(Hand.Noon - DateTimeOffset.UnixEpoch);
        var component = await Make(new AccumulateOptions { Size = TimeSpan.FromSeconds(10), Idle = TimeSpan.FromSeconds(30), Aggregates = s_sum }, time);
        await component.Give("""{"v":1}""", 0, 0);
        (await component.TickAt(Hand.Noon.AddSeconds(29))).ShouldBeEmpty();
        (await component.TickAt(Hand.Noon.AddSeconds(30))).ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Aggregates_AllOps_ByTheirRules()
    {
        var ops = Enum.GetValues<AggregateOp>().ToDictionary(o => Enum.GetName(o)!.ToLowerInvariant(), o => new AggregateOption { Op = o, Of = o == AggregateOp.Count ? Hand.Expr("data.v > 2") : Hand.Expr("data.v") });
        var component = await Make(new AccumulateOptions { Size = TimeSpan.FromMinutes(1), Aggregates = ops });
        await component.Give("""{"v":3}""", 0, 5);
        await component.Give("""{"v":1}""", 1, 3);
        await component.Give("""{"v":3.0}""", 2, 4);
        (await component.End()).Single().ShouldEndWith("""
            "count":2,"sum":7,"min":1,"max":3,"avg":2.3333333333333335,"first":1,"last":3,"collect":[3,1,3.0],"distinct":[3,1]}
            """.Trim());
        var texts = await Make(new AccumulateOptions { Size = TimeSpan.FromMinutes(1), Aggregates = new Dictionary<string, AggregateOption> { ["m"] = new() { Op = AggregateOp.Max, Of = Hand.Expr("data.v") }, ["s"] = new() { Op = AggregateOp.Avg, Of = Hand.Expr("data.n") } } });
        await texts.Give("""{"v":"a","n":null}""");
        await texts.Give("""{"v":"b","n":null}""", 1);
        await Should.ThrowAsync<ItemException>(async () => await texts.Give("""{"v":1,"n":null}""", 2));
        (await texts.End()).Single().ShouldEndWith("\"m\":\"b\",\"s\":null}");
    }

    [Fact]
    public async Task FailingEvent_ChangesNothing()
    {
        var component = await Make(new AccumulateOptions { Size = TimeSpan.FromMinutes(1), Key = Hand.Expr("data.k"), MaxWindows = 2, Aggregates = s_sum });
        await component.Give("""{"k":"a","v":1}""");
        (await Should.ThrowAsync<ItemException>(async () => await component.Give("""{"k":"b","v":"x"}""", 1))).Code.ShouldBe("expression_error");
        (await Should.ThrowAsync<ItemException>(async () => await component.Give("""{"v":1}""", 1))).Code.ShouldBe("missing_field");
        await component.Give("""{"k":"c","v":1}""", 2);
        (await Should.ThrowAsync<ItemException>(async () => await component.Give("""{"k":"d","v":1}""", 3))).Code.ShouldBe("too_many_windows");
        (await component.End()).Length.ShouldBe(2);
    }

    [Theory]
    [InlineData("Tumbling")]
    [InlineData("Sliding")]
    [InlineData("Session")]
    [InlineData("Count")]
    public async Task Snapshot_AtAnyPlace_SameResultAsWithoutABreak(string kind)
    {
        var options = new AccumulateOptions
        {
            Window = Enum.Parse<WindowKind>(kind), Size = TimeSpan.FromSeconds(10), Every = TimeSpan.FromSeconds(5), Gap = TimeSpan.FromSeconds(4), Count = 3, Lateness = TimeSpan.FromSeconds(10), Key = Hand.Expr("data.k"),
            Aggregates = Enum.GetValues<AggregateOp>().ToDictionary(o => Enum.GetName(o)!, o => new AggregateOption { Op = o, Of = o == AggregateOp.Count ? null : Hand.Expr("data.v") }),
        };
        for (var seed = 0; seed < 20; seed++)
        {
            var random = new Random(seed);
            var events = Enumerable.Range(0, 60).Select(i => ($$"""{"k":{{random.Next(3)}},"v":{{random.Next(5)}}{{(random.Next(2) == 0 ? ".5" : "")}}}""", i + (random.NextDouble() * 8))).ToList();
            var whole = new List<string>();
            var parts = new List<string>();
            var one = await Make(options);
            var two = await Make(options);
            var cut = random.Next(60);
            StateWriter? pending = null;
            for (var i = 0; i < events.Count; i++)
            {
                whole.AddRange(await one.Give(events[i].Item1, i, events[i].Item2));
                if (i == cut)
                {
                    // Frozen here, written later: what comes in between must not be in it.
                    pending = await two.SnapshotAsync(default);
                    await two.Give("""{"k":0,"v":100}""", 1000, events[i].Item2);
                    var bytes = new MemoryStream();
                    await pending!(bytes, default);
                    bytes.Position = 0;
                    two = await Make(options);
                    await two.RestoreAsync(new RestoredState(1, bytes), default);
                }

                parts.AddRange(await two.Give(events[i].Item1, i, events[i].Item2));
            }

            whole.AddRange(await one.End());
            parts.AddRange(await two.End());
            parts.ShouldBe(whole, $"seed {seed}, cut {cut}");
        }
    }

    [Fact]
    public async Task Snapshot_ManyKeys_FreezesQuickly()
    {
        var component = await Make(new AccumulateOptions { Size = TimeSpan.FromHours(1), Key = Hand.Expr("data.k"), Aggregates = s_sum });
        for (var i = 0; i < 100_000; i++)
        {
            await component.Give($$"""{"k":"key{{i}}","v":1}""", i);
        }

        var best = TimeSpan.MaxValue;
        for (var i = 0; i < 5; i++)
        {
            var start = Stopwatch.GetTimestamp();
            (await component.SnapshotAsync(default)).ShouldNotBeNull();
            var took = Stopwatch.GetElapsedTime(start);
            best = took < best ? took : best;
        }

        // 20 ms is the goal; the bound leaves room for a loaded machine.
        TestContext.Current.SendDiagnosticMessage($"freezing 100,000 keys took {best.TotalMilliseconds:F1} ms");
        best.ShouldBeLessThan(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void Options_Contradictions_Refused()
    {
        Hand.Faults(new AccumulateOptions()).ShouldHaveSingleItem().ShouldContain("need size");
        Hand.Faults(new AccumulateOptions { Window = WindowKind.Session }).ShouldHaveSingleItem().ShouldContain("need gap");
        Hand.Faults(new AccumulateOptions { Window = WindowKind.Sliding, Size = TimeSpan.FromSeconds(1), Every = TimeSpan.FromSeconds(2) }).ShouldHaveSingleItem().ShouldContain("at most size");
        Hand.Faults(new AccumulateOptions { Size = TimeSpan.FromSeconds(1), Aggregates = new Dictionary<string, AggregateOption> { ["key"] = new() { Op = AggregateOp.Count }, ["s"] = new() { Op = AggregateOp.Sum } } })
            .Length.ShouldBe(2);
    }

    private static Task<AccumulateAccumulator> Make(AccumulateOptions options, TimeProvider? time = null) => new AccumulateAccumulator(options, time ?? TimeProvider.System).Ready(time);
}
