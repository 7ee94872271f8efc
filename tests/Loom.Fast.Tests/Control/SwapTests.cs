using System.Collections.Immutable;
using FsCheck;
using FsCheck.Fluent;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Testing;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

public sealed class SwapTests
{
    private static readonly TimeSpan s_residency = TimeSpan.FromSeconds(30);

    [Fact]
    public void IdleReplica_OtherModelAsked_IsSwappedOnceForAllWaiters()
    {
        using var world = new SwapWorld(slots: 2);

        var one = world.Ask("b");
        var two = world.Ask("b");

        world.Orders.ShouldBe([new SwapOrder(world.Id, "b", Start: false)]);
        world.Finish();
        one.HoldsLease.ShouldBeTrue();
        two.HoldsLease.ShouldBeTrue();
        world.Orders.Count.ShouldBe(1);
    }

    [Fact]
    public void StoppedPool_IsStartedByAWaitingRequest()
    {
        using var world = new SwapWorld(slots: 1, loaded: null);

        var waiting = world.Ask("a");

        world.Orders.ShouldBe([new SwapOrder(world.Id, "a", Start: true)]);
        world.Finish();
        waiting.HoldsLease.ShouldBeTrue();
    }

    [Fact]
    public void BusyReplica_IsNotSwapped_TheLoadedModelsWaitersGoFirst()
    {
        using var world = new SwapWorld(slots: 1);
        var running = world.Ask("a");
        var foreign = world.Ask("b");
        var later = world.Ask("a");
        world.Orders.ShouldBeEmpty();

        world.Desk.Release(running, measured: false);
        later.HoldsLease.ShouldBeTrue("requests for the loaded model are collated");
        world.Desk.Release(later, measured: false);

        world.Orders.Single().Model.ShouldBe("b");
        world.Finish();
        foreign.HoldsLease.ShouldBeTrue();
    }

    [Fact]
    public void ForeignWaiter_OvertakenForTheMinimumResidency_IsNextWhateverCame()
    {
        using var world = new SwapWorld(slots: 1);
        var running = world.Ask("a");
        var foreign = world.Ask("b");
        world.Time.Advance(s_residency + TimeSpan.FromSeconds(1));
        var late = world.Ask("a");

        world.Desk.Release(running, measured: false);

        late.HoldsLease.ShouldBeFalse();
        world.Orders.Single().Model.ShouldBe("b");
        world.Finish();
        foreign.HoldsLease.ShouldBeTrue();
        world.Desk.Release(foreign, measured: false);
        world.Orders[^1].Model.ShouldBe("a");
    }

    [Fact]
    public void AbAaC_OnOneReplica_TwoSwaps()
    {
        using var world = new SwapWorld(slots: 1);
        var tickets = "abaac".Select(m => world.Ask(m.ToString())).ToList();

        world.ServeAll(tickets);

        world.Orders.Select(o => o.Model).ShouldBe(["b", "c"]);
    }

    [Fact]
    public async Task FailedLoad_EndsItsWaitersWithAReasonAndIsNotTriedAgainAtOnce()
    {
        using var world = new SwapWorld(slots: 1);
        var waiting = world.Ask("b");

        world.Desk.SwapEnded(world.Orders.Single(), "the file is broken");

        (await waiting.WaitAsync()).ShouldBe(WaitOutcome.LoadFailed);
        waiting.Refusal!.Message.ShouldContain("the file is broken");
        waiting.Refusal.HttpStatus.ShouldBe(503);
        waiting.Refusal.Backoff!.Value.Milliseconds.ShouldBeGreaterThanOrEqualTo(1000);
        world.Ask("b", Admittance.Refused).Refusal!.Message.ShouldContain("the file is broken");
        world.Ask("a", Admittance.Granted).HoldsLease.ShouldBeTrue("the old model still serves");
        world.Time.Advance(TimeSpan.FromSeconds(5));
        world.Ask("b", Admittance.Waiting);
    }

    [Fact]
    public void WaiterThatLeaves_KeepsTheReplicaFromNobody()
    {
        using var world = new SwapWorld(slots: 1);
        var running = world.Ask("a");
        var foreign = world.Ask("b");
        world.Time.Advance(s_residency + TimeSpan.FromSeconds(1));
        var late = world.Ask("a");

        world.Desk.Leave(foreign).ShouldBeTrue();
        world.Desk.Release(running, measured: false);

        late.HoldsLease.ShouldBeTrue();
        world.Orders.ShouldBeEmpty();
    }

    [Fact]
    public void WaiterThatIsEvicted_KeepsTheReplicaFromNobody()
    {
        using var world = Swapping(capacity: 2, ("r0", "a", 1));
        world.Enter("a", out var running).ShouldBe(Admittance.Granted);
        world.Enter("b", out var foreign, queueClass: QueueClass.Batch).ShouldBe(Admittance.Waiting);
        world.Time.Advance(s_residency + TimeSpan.FromSeconds(1));
        world.Enter("a", out var late, queueClass: QueueClass.Batch).ShouldBe(Admittance.Waiting);
        world.Enter("a", out _, queueClass: QueueClass.Batch).ShouldBe(Admittance.Waiting);
        foreign.Entry.ShouldBeNull("the queue was full");

        world.Desk.Release(running, measured: false);

        late.HoldsLease.ShouldBeTrue();
    }

    [Fact]
    public async Task FailedLoad_AnotherReplicaCouldLoadIt_ItIsAskedBeforeAnybodyIsTurnedAway()
    {
        using var world = Swapping(capacity: 10, ("r0", "a", 1), ("r0", "c", 1));
        List<SwapOrder> orders = [];
        world.Desk.Carrier = orders.Add;
        world.Enter("b", out var waiting).ShouldBe(Admittance.Waiting);

        world.Desk.SwapEnded(orders.Single(), "the first is broken");

        waiting.Entry.ShouldNotBeNull();
        orders.Select(o => o.Replica.PoolId).ShouldBe(["p-a", "p-c"]);
        world.Time.Advance(TimeSpan.FromSeconds(10)); // the first might be tried again; this waiter has seen both fail
        world.Desk.SwapEnded(orders[1], "the second too");
        (await waiting.WaitAsync()).ShouldBe(WaitOutcome.LoadFailed);
        waiting.Refusal!.Message.ShouldContain("the second too");
    }

    [Fact]
    public void Retry_OnlyAReplicaWithAnotherModelIsLeft_IsLoadedThere()
    {
        using var world = Swapping(capacity: 10, ("r0", "a", 1), ("r0", "b", 2));
        List<SwapOrder> orders = [];
        world.Desk.Carrier = orders.Add;
        world.Enter("b", out var failed).ShouldBe(Admittance.Granted);
        world.Enter("b", out _).ShouldBe(Admittance.Granted);

        world.Desk.TryAgain(failed).ShouldBe(Admittance.Waiting);

        orders.ShouldBe([new SwapOrder(new ReplicaId("n", "p-a", "r0"), "b", Start: false)]);
    }

    [Theory]
    [InlineData(ReplicaState.Stopped)]
    [InlineData(ReplicaState.Starting)]
    [InlineData(ReplicaState.Draining)]
    public void NodeThatDrains_LoadsNothingForWaiters(ReplicaState state)
    {
        using var world = new AdmissionWorld(capacity: 10, [("r0", "a", 1)]);
        world.Publish(status => status with { Node = NodeCondition.Draining, State = state, Url = null });

        world.Enter("a", out _).ShouldBe(Admittance.Refused);
    }

    [Fact]
    public void MeasuredLoad_IsPartOfThePrediction()
    {
        using var world = new SwapWorld(slots: 1, loadMs: 4000);
        world.ServeAll([world.Ask("b"), world.Ask("a")]);

        var waiting = world.Ask("b");

        waiting.Predicted!.Value.Measured.ShouldBeTrue();
        waiting.Predicted.Value.Milliseconds.ShouldBe(4000, 1);
    }

    // Never a swap under work, everyone is served, and nobody is overtaken after the minimum residency by what came later.
    [Fact]
    public void AnyTrace_KeepsItsPromises()
    {
        var step = Gen.Choose(0, 5).SelectMany(_ => Gen.Choose(0, 1000), (kind, number) => (Kind: kind, Number: number)).ListOf(120);
        Prop.ForAll(step.ToArbitrary(), steps => Play([.. steps])).QuickCheckThrowOnFailure();
    }

    // Each replica in a pool of its own; all can load a, b and c.
    private static AdmissionWorld Swapping(int capacity, params (string Name, string Model, int Slots)[] replicas)
    {
        var world = new AdmissionWorld(capacity, replicas);
        world.Publish(status => status with { Models = ["a", "b", "c"], Swap = true, MinResidencySecs = (int)s_residency.TotalSeconds });
        return world;
    }

    private static bool Play((int Kind, int Number)[] steps)
    {
        using var world = new SwapWorld(slots: 2);
        List<Ticket> live = [];
        foreach (var (kind, number) in steps)
        {
            if (kind <= 2)
            {
                live.Add(world.Ask(((char)('a' + (number % 3))).ToString()));
            }
            else if (kind == 3)
            {
                world.Time.Advance(TimeSpan.FromSeconds(number % 20));
            }
            else if (kind == 4 && live.Where(t => t.HoldsLease).ToList() is { Count: > 0 } holders)
            {
                var one = holders[number % holders.Count];
                live.Remove(one);
                world.Desk.Release(one, measured: true);
            }
            else if (kind == 5)
            {
                world.Finish();
            }

            world.Check(live);
        }

        world.ServeAll(live);
        return true;
    }

    private sealed class SwapWorld : IDisposable
    {
        private readonly ReplicaTable _table = new();
        private readonly int _slots;
        private readonly int? _loadMs;
        private readonly Dictionary<Ticket, TimeSpan> _arrived = [];
        private readonly HashSet<Ticket> _seen = [];
        private string? _loaded;
        private int _done;
        private int _run;

        public SwapWorld(int slots, string? loaded = "a", int? loadMs = null)
        {
            _slots = slots;
            _loaded = loaded;
            _loadMs = loadMs;
            Desk = new AdmissionDesk(new AdmissionOptions { Capacity = 1000 }, new RoundRobin(), Time, new Random(1)) { Carrier = Order };
            _table.Changed += Desk.Apply;
            _table.Heard += Desk.Heard;
            Publish();
        }

        public ManualTimeProvider Time { get; } = new();

        public AdmissionDesk Desk { get; }

        public List<SwapOrder> Orders { get; } = [];

        public ReplicaId Id { get; } = new("n", "p", "r0");

        public Ticket Ask(string model, Admittance? expected = null)
        {
            var ticket = new Ticket();
            _table.Current.TryResolve(model, out var route).ShouldBeTrue();
            ticket.Reset(route!, QueueClass.Interactive, null, Time.GetTimestamp());
            var admittance = Desk.Enter(ticket);
            if (expected is { } wanted)
            {
                admittance.ShouldBe(wanted);
            }

            _arrived[ticket] = Time.GetElapsedTime(0);
            return ticket;
        }

        /// <summary>Carries out the orders that are open.</summary>
        public void Finish()
        {
            while (_done < Orders.Count)
            {
                var order = Orders[_done++];
                _loaded = order.Model;
                _run++;
                Publish();
                Desk.SwapEnded(order, null);
            }
        }

        /// <summary>Lets everybody run to the end.</summary>
        public void ServeAll(List<Ticket> live)
        {
            live = [.. live];
            for (var round = 0; live.Count > 0; round++)
            {
                round.ShouldBeLessThan(1000, "somebody is never served");
                Finish();
                Check(live);
                if (live.Find(t => t.HoldsLease) is { } one)
                {
                    live.Remove(one);
                    Desk.Release(one, measured: true);
                }
                else
                {
                    Time.Advance(TimeSpan.FromSeconds(1));
                }
            }
        }

        public void Check(List<Ticket> live)
        {
            foreach (var ticket in live.Where(t => t.HoldsLease && _seen.Add(t)))
            {
                foreach (var older in live.Where(o => !o.HoldsLease && o.Rank < ticket.Rank))
                {
                    (_arrived[ticket] - _arrived[older]).ShouldBeLessThanOrEqualTo(s_residency, "overtaken by what came later than the minimum residency");
                }
            }
        }

        public void Dispose() => Desk.Dispose();

        private void Order(SwapOrder order)
        {
            _table.Current.Find(Id)!.Load.Leases.ShouldBe(0, "a replica with work is never swapped");
            Orders.Add(order);
        }

        private void Publish() => _table.Publish(ImmutableArray.Create(new ReplicaStatus
        {
            Id = Id,
            State = _loaded is null ? ReplicaState.Stopped : ReplicaState.Ready,
            EngineKind = "mock",
            Model = _loaded ?? "a",
            Models = ["a", "b", "c"],
            SlotsTotal = _slots,
            Url = _loaded is null ? null : $"http://127.0.0.1:{1000 + _run}/v1",
            Swap = true,
            MinResidencySecs = (int)s_residency.TotalSeconds,
            LoadMs = _loadMs,
        }));
    }
}
