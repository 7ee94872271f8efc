using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Testing;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

public sealed class PlacementWishTests : IDisposable
{
    private readonly ReplicaTable _table = new();
    private readonly AdmissionDesk _desk;

    public PlacementWishTests()
    {
        _desk = new AdmissionDesk(new AdmissionOptions(), new RoundRobin(), new ManualTimeProvider(), new Random(1));
        _table.Changed += _desk.Apply;
        Publish(static s => s);
    }

    [Fact]
    public void NoWish_EveryReplicaWillDo() => Placed(null, times: 3).ShouldBe(["a", "b", "c"], ignoreOrder: true);

    [Theory]
    [InlineData(Verdict.NotPinned)]
    [InlineData(Verdict.Avoided)]
    [InlineData(Verdict.EngineKind)]
    [InlineData(Verdict.Ctx)]
    [InlineData(Verdict.Devices)]
    internal void Wish_RulesOut_ThoseItNames_AndSaysWhy(Verdict reason)
    {
        PlacementWish wish = reason switch
        {
            Verdict.NotPinned => new() { PinPool = "b" },
            Verdict.Avoided => new() { AvoidPools = ["a", "c"] },
            Verdict.EngineKind => new() { EngineKind = "vllm" },
            Verdict.Ctx => new() { Ctx = 8192, AvoidPools = ["c"] },
            _ => new() { Devices = ["1"] },
        };

        Placed(wish, times: 2).ShouldBe(["b", "b"]);
        Judge("a", wish).ShouldBe(reason);
        Judge("b", wish).ShouldBe(Verdict.Candidate);
    }

    [Fact]
    public void Ctx_ReplicaThatDoesNotTell_IsTakenToHoldThem() => Judge("c", new PlacementWish { Ctx = 1_000_000 }).ShouldBe(Verdict.Candidate);

    [Fact]
    public void Devices_None_MeansNoneAtAll()
    {
        Judge("c", new PlacementWish { Devices = ["none"] }).ShouldBe(Verdict.Candidate);
        Judge("a", new PlacementWish { Devices = ["none"] }).ShouldBe(Verdict.Devices);
    }

    [Fact]
    public void Prefer_IsFollowedWhileThereIsASlot_ThenTheOthersWillDo()
    {
        var wish = new PlacementWish { PreferPools = ["c", "b"] };

        Placed(wish, times: 5, keep: true).ShouldBe(["c", "c", "b", "b", "a"]);
    }

    [Fact]
    public void Pin_BusyPool_IsWaitedForAndNotLeft()
    {
        var wish = new PlacementWish { PinPool = "b" };
        Placed(wish, times: 2, keep: true).ShouldBe(["b", "b"]);

        Enter(wish, out _).ShouldBe(Admittance.Waiting);
    }

    [Fact]
    public void Pin_PoolThatIsDown_FallsBackUnlessThatIsForbidden()
    {
        Publish(s => s.Id.PoolId == "b" ? s with { State = ReplicaState.Failed } : s);

        Enter(new PlacementWish { PinPool = "b" }, out var ticket).ShouldBe(Admittance.Granted);
        ticket.Replica!.Status.Id.PoolId.ShouldNotBe("b");
        Enter(new PlacementWish { PinPool = "b", AllowFallback = false }, out ticket).ShouldBe(Admittance.Refused);
        ticket.Refusal.ShouldNotBeNull();
    }

    [Fact]
    public void Avoid_AllPools_FallsBackUnlessThatIsForbidden()
    {
        Enter(new PlacementWish { AvoidPools = ["a", "b", "c"] }, out _).ShouldBe(Admittance.Granted);
        Enter(new PlacementWish { AvoidPools = ["a", "b", "c"], AllowFallback = false }, out _).ShouldBe(Admittance.Refused);
    }

    [Fact]
    public void EngineKind_NobodyHasIt_IsRefusedAtOnce() => Enter(new PlacementWish { EngineKind = "tgi" }, out _).ShouldBe(Admittance.Refused);

    public void Dispose() => _desk.Dispose();

    private List<string> Placed(PlacementWish? wish, int times, bool keep = false)
    {
        List<string> pools = [];
        List<Ticket> tickets = [];
        for (var i = 0; i < times; i++)
        {
            Enter(wish, out var ticket).ShouldBe(Admittance.Granted);
            pools.Add(ticket.Replica!.Status.Id.PoolId);
            tickets.Add(ticket);
        }

        foreach (var ticket in keep ? [] : tickets)
        {
            _desk.Release(ticket, measured: false);
        }

        return pools;
    }

    private Admittance Enter(PlacementWish? wish, out Ticket ticket)
    {
        ticket = new Ticket();
        ticket.Reset(Route, QueueClass.Interactive, deadlineMs: null, now: 0);
        ticket.Wish = wish;
        return _desk.Enter(ticket);
    }

    private Verdict Judge(string pool, PlacementWish wish) =>
        CandidateFilter.Judge(Route.Offering.Single(r => r.Status.Id.PoolId == pool), new Demand { Route = Route, Work = InferenceRoute.Chat, Wish = wish, Rank = 100 });

    private ModelRoute Route
    {
        get
        {
            _table.Current.TryResolve("demo", out var route).ShouldBeTrue();
            return route!;
        }
    }

    // a: a small one on device 0; b: what most wishes name; c: says neither context nor devices.
    private void Publish(Func<ReplicaStatus, ReplicaStatus> change) => _table.Publish(
    [
        .. new[] { Of("a") with { Ctx = 4096, DeviceMask = ["0"] }, Of("b") with { EngineKind = "vllm", Ctx = 8192, DeviceMask = ["0", "1"] }, Of("c") }.Select(change),
    ]);

    private static ReplicaStatus Of(string pool) => new()
    {
        Id = new ReplicaId("n", pool, "r0"),
        State = ReplicaState.Ready,
        EngineKind = "mock",
        Model = "demo",
        Models = ["demo"],
        SlotsTotal = 2,
        Url = "http://127.0.0.1:1/v1",
    };
}
