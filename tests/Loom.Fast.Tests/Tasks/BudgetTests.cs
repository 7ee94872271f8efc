using FsCheck;
using FsCheck.Fluent;
using Loom.Cli.Composition;
using Loom.Control.Sessions;
using Loom.Core.Web;
using Loom.Testing;
using Loom.Testing.Settings;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Tasks;

public sealed class BudgetTests
{
    private static readonly Caller s_owner = new("a", Scopes.Inference);

    [Fact]
    public void TryReserve_Fits_HoldsItUntilSettled()
    {
        var budget = new Budget { Limits = new Limits(100, null, null) };

        budget.TryReserve(Need(10, 60), out var first).ShouldBeNull();
        budget.TryReserve(Need(50, 60), out _)!.ShouldContain("40 of 100 are free (60 more are reserved");
        budget.Settle(first, new Spending(20, 0, 0));

        budget.TokensLeft.ShouldBe(80);
        budget.TryReserve(Need(50, 60), out _).ShouldBeNull();
    }

    [Fact]
    public void TryReserve_MostIsUnknown_KeepsEverybodyElseOut()
    {
        var budget = new Budget { Limits = new Limits(100, null, null) };

        budget.TryReserve(Need(1, null), out var reserved).ShouldBeNull();

        reserved.Tokens.ShouldBe(100);
        budget.TryReserve(Need(1, 1), out _).ShouldNotBeNull();
    }

    [Fact]
    public void TryReserve_TimeAndCost_AreHeldTheSameWay()
    {
        var budget = new Budget { Limits = new Limits(null, 1000, 0.5) };

        budget.TryReserve(new BudgetNeed(1, 1, 400, 0.1, 0.2), out var first).ShouldBeNull();
        first.ShouldBe(new Spending(0, 400, 0.2));
        budget.TryReserve(new BudgetNeed(1, 1, null, 0.4, 0.4), out _)!.ShouldContain("cost budget");
        budget.TryReserve(new BudgetNeed(1, 1, null, 0, 0), out var second).ShouldBeNull();
        second.Ms.ShouldBe(600);
        budget.TryReserve(new BudgetNeed(1, 1, 1, 0, 0), out _)!.ShouldContain("time budget");
    }

    [Fact]
    public void TryReserve_LocalAnswersCostNothing_AnEmptyCostBudgetLetsThemIn()
    {
        var budget = new Budget { Limits = new Limits(null, null, 0) };

        budget.TryReserve(new BudgetNeed(1, 1, 1, 0, 0), out _).ShouldBeNull();
        budget.TryReserve(new BudgetNeed(1, 1, 1, 0.01, 0.01), out _).ShouldNotBeNull();
    }

    [Fact]
    public async Task Begin_100AtOnce_NeverSpendMoreThanTheBudget()
    {
        var table = Table();
        table.Put(s_owner, "s", null, new Limits(1000, null, null));
        using var start = new Barrier(8);
        var granted = 0;

        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(() =>
        {
            start.SignalAndWait();
            for (var i = worker; i < 100; i += 8)
            {
                try
                {
                    using var turn = table.Begin("a", "s", Need(30, 40));
                    Interlocked.Increment(ref granted);
                    turn.Settle(new ReplicaId("n", "p", "r0"), 10, 0, 25, TimeSpan.FromMilliseconds(1));
                }
                catch (ProblemException e)
                {
                    e.Problem.Code.ShouldBe(ProblemCode.BudgetExhausted);
                }
            }
        })));

        var view = table.Find(s_owner, "s")!;
        granted.ShouldBeInRange(25, 28);
        view.TokensBudgetRemaining.ShouldBe(1000 - (35 * granted));
        view.Turns.ShouldBe(granted);
    }

    [Fact]
    public void Reserve_AnyOrder_SpendsNoMoreThanTheLimitWhenNeedsAreTrue() => Prop.ForAll(
        (from needs in Gen.Choose(1, 40).ListOf() from limit in Gen.Choose(1, 200) select (needs, limit)).ToArbitrary(),
        given =>
        {
            var budget = new Budget { Limits = new Limits(given.limit, null, null) };
            var open = new Queue<(Spending Reserved, int Used)>();
            var spent = 0L;
            foreach (var need in given.needs)
            {
                if (budget.TryReserve(Need(need, need), out var reserved) is null)
                {
                    open.Enqueue((reserved, need));
                }

                if (open.Count > 3)
                {
                    var (held, used) = open.Dequeue();
                    budget.Settle(held, new Spending(used, 0, 0));
                    spent += used;
                }
            }

            return spent + open.Sum(o => o.Used) <= given.limit && budget.TokensLeft == given.limit - spent;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Session_Unused_ExpiresAfterItsTimeToLive()
    {
        var time = new ManualTimeProvider();
        var table = new SessionTable(new PriceList(System.Collections.Immutable.ImmutableDictionary<string, Price>.Empty), time);
        table.Put(s_owner, "s", TimeSpan.FromSeconds(10), null).TtlMsRemaining.ShouldBe(10_000);
        time.Advance(TimeSpan.FromSeconds(4));
        table.Find(s_owner, "s")!.TtlMsRemaining.ShouldBe(6_000);

        var turn = table.Begin("a", "s", Need(1, 1));
        time.Advance(TimeSpan.FromSeconds(60));
        table.Find(s_owner, "s").ShouldNotBeNull("it is in use");
        turn.Settle(new ReplicaId("n", "p", "r0"), 4, 1, 1, TimeSpan.Zero);
        table.Find(s_owner, "s")!.KvWarmth.ShouldBe(0.25);
        time.Advance(TimeSpan.FromSeconds(10));

        table.Find(s_owner, "s").ShouldBeNull();
    }

    [Fact]
    public void Prices_OfAProvidersExtraTable_ReachTheBudget()
    {
        var load = new TestLoad(LoomRegistry.Instance).Toml("""
            [llm.cloud]
            base_url = "https://host/v1"
            extra.prompt_rate = 0.5
            extra.completion_rate = 2
            [llm.free]
            base_url = "https://host/v1"
            """).Load();
        load.Ok.ShouldBeTrue();

        var prices = new PriceList(Loom.Control.ControlOptions.From(load.Snapshot).Tasks.Prices);

        prices.Of("llm-cloud", 1_000_000, 500_000).ShouldBe(1.5);
        prices.Of("llm-free", 1_000_000, 500_000).ShouldBe(0);
        prices.Of("default", 1_000_000, 500_000).ShouldBe(0);
    }

    [Fact]
    public void Session_TimeBudgetSetWhileARequestWaits_DoesNotLimitIt()
    {
        var table = Table();
        using var before = table.Begin("a", "s", Need(1, 1));

        table.Put(s_owner, "s", null, new Limits(null, 5000, null));

        before.TimeLimit.ShouldBeNull();
        using var after = table.Begin("a", "s", Need(1, 1));
        after.TimeLimit.ShouldBe(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public void Session_NextTurnBeforeTheLastIsBooked_KnowsItsReplica()
    {
        var table = Table();
        using var first = table.Begin("a", "s", Need(1, 1));

        first.AnswersAt(new ReplicaId("n", "p", "r1"));

        using var next = table.Begin("a", "s", Need(1, 1));
        next.LastReplica.ShouldBe(new ReplicaId("n", "p", "r1"));
        table.Find(s_owner, "s")!.Turns.ShouldBe(0, "it is counted when it is booked");
    }

    [Fact]
    public void Session_OfAnotherKey_IsNotThere()
    {
        var table = Table();
        table.Put(s_owner, "s", null, null);
        var other = new Caller("b", Scopes.Inference);

        table.Find(other, "s").ShouldBeNull();
        table.Delete(other, "s").ShouldBeFalse();
        table.List(other).ShouldBeEmpty();
        table.Find(new Caller("root", Scopes.All), "s").ShouldNotBeNull();
        table.Delete(s_owner, "s").ShouldBeTrue();
        table.Find(s_owner, "s").ShouldBeNull();
    }

    [Fact]
    public void Cost_OfAPool_IsItsPriceOfBothKindsOfTokens()
    {
        var prices = new PriceList(System.Collections.Immutable.ImmutableDictionary<string, Price>.Empty.Add("llm-x", new Price(0.5, 1.5)));

        prices.Of("llm-x", 1_000_000, 2_000_000).ShouldBe(3.5);
        prices.Of("local", 1_000_000, 2_000_000).ShouldBe(0);
    }

    private static SessionTable Table() => new(new PriceList(System.Collections.Immutable.ImmutableDictionary<string, Price>.Empty), new ManualTimeProvider());

    private static BudgetNeed Need(long likely, long? most) => new(likely, most, null, 0, 0);
}
