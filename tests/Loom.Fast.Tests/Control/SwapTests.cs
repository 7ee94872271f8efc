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
