using Loom.Components;
using Loom.Harness.Components.BuiltIns.Keyed;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.BuiltIns;

public sealed class JoinTests
{
    private const int Left = 0;
    private const int Right = 1;

    [Fact]
    public async Task Inner_SameKeyWithinTheWindow_OnePairEach()
    {
        var join = await Make(new JoinOptions { Key = Hand.Expr("data.k"), Window = TimeSpan.FromSeconds(10) });
        (await join.Give("""{"k":1,"a":1}""", 0, 0, Left)).ShouldBeEmpty();
        (await join.Give("""{"k":1,"b":1}""", 1, 10, Right)).ShouldBe(["""c/src:0:0+src:0:1 {"key":"1","left":{"k":1,"a":1},"right":{"k":1,"b":1}}"""]);
        (await join.Give("""{"k":1,"b":2}""", 2, 10.1, Right)).ShouldBeEmpty();
        (await join.Give("""{"k":1,"a":2}""", 3, 9, Left)).Length.ShouldBe(2);
        (await join.End()).ShouldBeEmpty();
        (await Should.ThrowAsync<ItemException>(async () => await join.Give("{}"))).Code.ShouldBe("missing_field");
    }

    [Fact]
    public async Task Left_NoPartner_SentWhenTheOtherSideHasMovedOnOrEnded()
    {
        var join = await Make(new JoinOptions { LeftKey = Hand.Expr("data.x"), RightKey = Hand.Expr("data.y"), Type = JoinType.Left, Window = TimeSpan.FromSeconds(5), Lateness = TimeSpan.FromSeconds(1) });
        await join.Give("""{"x":"a"}""", 0, 0, Left);
        await join.Give("""{"x":"b"}""", 1, 1, Left);
        (await join.Give("""{"y":"b"}""", 2, 6, Right)).ShouldHaveSingleItem().ShouldStartWith("c/src:0:1+src:0:2 ");
        (await join.Give("""{"y":"z"}""", 3, 6.1, Right)).ShouldBe(["""c/src:0:0+ {"key":"a","left":{"x":"a"},"right":null}"""]);
        await join.Give("""{"x":"c"}""", 4, 7, Left);
        (await join.End()).ShouldHaveSingleItem().ShouldStartWith("c/src:0:4+ ");
    }

    [Fact]
    public async Task Processing_Clock_Expires()
    {
        var time = new ManualTimeProvider();
        var join = await new JoinProcessor(new JoinOptions { Key = Hand.Expr("data"), Type = JoinType.Left, Window = TimeSpan.FromSeconds(5), Time = WindowTime.Processing }, time).Ready(time);
        await join.Give("1", 0, 0, Left);
        (await join.TickAt(time.GetUtcNow().AddSeconds(5))).ShouldBeEmpty();
        (await join.TickAt(time.GetUtcNow().AddSeconds(5.1))).ShouldHaveSingleItem();
    }

    [Fact]
    public async Task MaxEvents_Full_ItemErrorAndNothingLost()
    {
        var join = await Make(new JoinOptions { Key = Hand.Expr("data"), Window = TimeSpan.FromSeconds(5), MaxEvents = 1 });
        await join.Give("1", 0, 0, Left);
        (await Should.ThrowAsync<ItemException>(async () => await join.Give("2", 1, 0, Left))).Code.ShouldBe("join_full");
        (await join.Give("1", 2, 0, Right)).ShouldHaveSingleItem();
    }

    [Fact]
    public async Task Restored_PairsAsWithoutABreak()
    {
        var options = new JoinOptions { Key = Hand.Expr("data.k"), Type = JoinType.Left, Window = TimeSpan.FromSeconds(4) };
        for (var seed = 0; seed < 20; seed++)
        {
            var random = new Random(seed);
            var events = Enumerable.Range(0, 60).Select(i => (Port: random.Next(2), Json: $$"""{"k":{{random.Next(4)}}}""", Time: i + random.NextDouble())).ToList();
            var (whole, parts) = (new List<string>(), new List<string>());
            var (one, two) = (await Make(options), await Make(options));
            var cut = random.Next(60);
            for (var i = 0; i < events.Count; i++)
            {
                whole.AddRange(await one.Give(events[i].Json, i, events[i].Time, events[i].Port));
                two = i == cut ? await (await Make(options)).Restored(two) : two;
                parts.AddRange(await two.Give(events[i].Json, i, events[i].Time, events[i].Port));
            }

            whole.AddRange(await one.End());
            parts.AddRange(await two.End());
            parts.Order().ShouldBe(whole.Order(), $"seed {seed}, cut {cut}");
        }
    }

    [Fact]
    public void Options_NoKey_Refused() => Hand.Faults(new JoinOptions { Window = TimeSpan.Zero, LeftKey = Hand.Expr("data.a") }).ShouldHaveSingleItem().ShouldContain("needs key");

    private static Task<JoinProcessor> Make(JoinOptions options) => new JoinProcessor(options, TimeProvider.System).Ready();
}
