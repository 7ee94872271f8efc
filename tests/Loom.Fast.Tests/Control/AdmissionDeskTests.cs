using FsCheck;
using FsCheck.Fluent;
using Loom.Control.Admission;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

public sealed class AdmissionDeskTests
{
    [Fact]
    public void Enter_FreeSlot_GrantsWithoutWaiting()
    {
        using var world = new AdmissionWorld(capacity: 2, replicas: [("r0", "demo", 1)]);

        world.Enter("demo", out var ticket).ShouldBe(Admittance.Granted);

        ticket.Replica!.Status.Id.ReplicaName.ShouldBe("r0");
        ticket.Predicted.ShouldBeNull();
    }

    [Fact]
    public void Enter_MoreReplicasThanAreShown_EachInTurnAndTheLastFreeSlotIsFound()
    {
        const int Many = (2 * AdmissionDesk.MostShown) + 7;
        using var world = new AdmissionWorld(capacity: 5, replicas: [.. Enumerable.Range(0, Many).Select(i => ($"r{i:0000}", "demo", 1))]);

        var replicas = new HashSet<string>();
        for (var i = 0; i < Many; i++)
        {
            world.Enter("demo", out var ticket).ShouldBe(Admittance.Granted);
            replicas.Add(ticket.Replica!.Status.Id.ReplicaName);
        }

        replicas.Count.ShouldBe(Many);
        world.Enter("demo", out _).ShouldBe(Admittance.Waiting);
    }

    [Fact]
    public void Enter_OtherModelIsBusy_DoesNotBlock()
    {
        using var world = new AdmissionWorld(capacity: 5, replicas: [("r0", "a", 1), ("r1", "b", 1)]);
        world.Enter("a", out _).ShouldBe(Admittance.Granted);
        world.Enter("a", out _).ShouldBe(Admittance.Waiting);

        world.Enter("b", out _).ShouldBe(Admittance.Granted);
    }

    [Fact]
    public async Task Release_Waiters_AreServedInOrderAndPositionsMoveUp()
    {
        using var world = new AdmissionWorld(capacity: 5, replicas: [("r0", "demo", 1)]);
        world.Enter("demo", out var running);
        world.Enter("demo", out var first);
        world.Enter("demo", out var second);
        world.Desk.Outlook(second).Position.ShouldBe(1);

        world.Desk.Release(running, measured: true);

        (await first.WaitAsync()).ShouldBe(WaitOutcome.Granted);
        world.Desk.Outlook(second).Position.ShouldBe(0);
        world.Desk.Leave(second).ShouldBeTrue();
        (await second.WaitAsync()).ShouldBe(WaitOutcome.Abandoned);
        world.Desk.Leave(second).ShouldBeFalse();
    }

    [Fact]
    public async Task TryAgain_OtherReplicaBusy_WaitsAtItsOldPlaceAndNeverReturnsToTheFailedOne()
    {
        using var world = new AdmissionWorld(capacity: 5, replicas: [("r0", "demo", 1), ("r1", "demo", 1)]);
        world.Enter("demo", out var failing);
        world.Enter("demo", out var other);
        world.Enter("demo", out var waiting);

        world.Desk.TryAgain(failing).ShouldBe(Admittance.Waiting);

        (await waiting.WaitAsync()).ShouldBe(WaitOutcome.Granted, "the failed replica's slot goes to the next");
        world.Desk.Outlook(failing).Position.ShouldBe(0);
        var failed = failing.Replica;
        world.Desk.Release(waiting, measured: false);
        failing.Entry.ShouldNotBeNull("the freed replica is the one that failed it");
        world.Desk.Release(other, measured: false);
        (await failing.WaitAsync()).ShouldBe(WaitOutcome.Granted);
        failing.Replica.ShouldNotBe(failed);
        world.Desk.TryAgain(failing).ShouldBe(Admittance.Refused);
    }

    [Fact]
    public void Enter_MeasuredPredictionLaterThanTheDeadline_DeadlineUnmetAtOnce()
    {
        using var world = new AdmissionWorld(capacity: 5, replicas: [("r0", "demo", 1)]);
        world.Enter("demo", out var first);
        world.Time.Advance(TimeSpan.FromSeconds(10));
        world.Desk.Release(first, measured: true);
        world.Enter("demo", out _);

        world.Enter("demo", out var late, deadlineMs: 5000).ShouldBe(Admittance.Refused);
        world.Enter("demo", out _, deadlineMs: 15000).ShouldBe(Admittance.Waiting);

        late.Refusal!.Code.ShouldBe(ProblemCode.DeadlineUnmet);
        late.Refusal.HttpStatus.ShouldBe(400);
    }

    [Fact]
    public async Task Apply_ReplicaBecomesReady_WaitersAreServed()
    {
        using var world = new AdmissionWorld(capacity: 5, replicas: [("r0", "demo", 2)], state: ReplicaState.Starting);
        world.Enter("demo", out var one).ShouldBe(Admittance.Waiting);
        world.Enter("demo", out var two).ShouldBe(Admittance.Waiting);
        world.Enter("demo", out var three).ShouldBe(Admittance.Waiting);

        world.Publish(ReplicaState.Ready);

        (await one.WaitAsync()).ShouldBe(WaitOutcome.Granted);
        (await two.WaitAsync()).ShouldBe(WaitOutcome.Granted);
        world.Desk.Outlook(three).Position.ShouldBe(0);
        world.Publish(ReplicaState.Failed);
        (await three.WaitAsync()).ShouldBe(WaitOutcome.Unavailable);
    }

    [Fact]
    public void Suspect_RefusedConnection_NoWorkForASecond()
    {
        using var world = new AdmissionWorld(capacity: 5, replicas: [("r0", "demo", 2)]);
        world.Enter("demo", out var ticket);
        world.Desk.Suspect(ticket.Replica!);

        world.Enter("demo", out var waiting).ShouldBe(Admittance.Waiting);
        world.Time.Advance(TimeSpan.FromSeconds(1));

        waiting.HoldsLease.ShouldBeTrue();
    }

    [Fact]
    public async Task Close_NewWorkRefused_WaitersStayUntilDismissed()
    {
        using var world = new AdmissionWorld(capacity: 5, replicas: [("r0", "demo", 1)]);
        world.Enter("demo", out _);
        world.Enter("demo", out var waiting);

        world.Desk.Close();
        world.Enter("demo", out var refused).ShouldBe(Admittance.Refused);
        refused.Refusal!.Code.ShouldBe(ProblemCode.NodeUnavailable);
        world.Desk.Outlook(waiting).Position.ShouldBe(0);
        world.Desk.DismissWaiting();

        (await waiting.WaitAsync()).ShouldBe(WaitOutcome.Closed);
    }

    // Capacity and slots are never exceeded, nobody who could run is left waiting, and every wait ends exactly once.
    [Fact]
    public void Desk_AnyOperations_KeepsItsPromises()
    {
        var step = Gen.Choose(0, 9).SelectMany(_ => Gen.Choose(0, 1000), (kind, number) => (Kind: kind, Number: number)).ListOf(200);
        var runs = Gen.Choose(0, 1).SelectMany(_ => step, (policy, steps) => (Policy: (OverflowPolicy)policy, Steps: steps));
        Prop.ForAll(runs.ToArbitrary(), run => Play(run.Policy, [.. run.Steps])).QuickCheckThrowOnFailure();
    }

    private static bool Play(OverflowPolicy policy, (int Kind, int Number)[] steps)
    {
        using var world = new AdmissionWorld(capacity: 4, replicas: [("r0", "a", 2), ("r1", "a", 1), ("r2", "b", 1)], policy: policy);
        var live = new List<(Ticket Ticket, Task<WaitOutcome>? Wait)>();
        var returned = 0;
        foreach (var (kind, number) in steps)
        {
            // A ticket's owner sees the end of its wait before it does anything else with it.
            live.RemoveAll(one => one.Ticket.Entry is null && one.Wait is { } wait && wait.GetAwaiter().GetResult() != WaitOutcome.Granted);
            var holders = live.Where(one => one.Ticket.HoldsLease).ToList();
            var waiters = live.Where(one => one.Ticket.Entry is not null).ToList();
            if (kind < 5)
            {
                var admittance = world.Enter(number % 3 == 0 ? "b" : "a", out var ticket, queueClass: (QueueClass)(number % 2));
                if (admittance != Admittance.Refused)
                {
                    live.Add((ticket, admittance == Admittance.Waiting ? ticket.WaitAsync().AsTask() : null));
                }
            }
            else if (kind < 8 && holders.Count > 0)
            {
                var one = holders[number % holders.Count];
                live.Remove(one);
                world.Desk.Release(one.Ticket, measured: number % 2 == 0);
            }
            else if (kind == 8 && holders.Count > 0)
            {
                var one = holders[number % holders.Count];
                live.Remove(one);
                if (world.Desk.TryAgain(one.Ticket) is var again && again != Admittance.Refused)
                {
                    returned++;
                    live.Add((one.Ticket, again == Admittance.Waiting ? one.Ticket.WaitAsync().AsTask() : null));
                }
            }
            else if (kind == 9 && waiters.Count > 0)
            {
                world.Desk.Leave(waiters[number % waiters.Count].Ticket).ShouldBeTrue();
            }

            Check(world, live, returned);
        }

        return true;
    }

    private static void Check(AdmissionWorld world, List<(Ticket Ticket, Task<WaitOutcome>? Wait)> live, int returned)
    {
        var holders = live.Where(one => one.Ticket.HoldsLease).ToList();
        var waiters = live.Where(one => one.Ticket.Entry is not null).ToList();
        foreach (var replica in world.Replicas)
        {
            replica.Load.Leases.ShouldBe(holders.Count(one => ReferenceEquals(one.Ticket.Replica!.Load, replica.Load)));
            replica.Load.Leases.ShouldBeInRange(0, replica.Status.SlotsTotal);
            foreach (var (ticket, _) in waiters)
            {
                var couldRun = ticket.Route.Offering.Contains(replica) && CandidateFilter.Judge(replica, Demand(ticket)) == Verdict.Candidate;
                couldRun.ShouldBeFalse("nobody waits for a slot that is free");
            }
        }

        var waiting = world.Desk.Waiting(QueueClass.Interactive) + world.Desk.Waiting(QueueClass.Batch);
        waiting.ShouldBeLessThanOrEqualTo(4 + returned);
        waiting.ShouldBe(waiters.Count);
        foreach (var group in waiters.GroupBy(one => one.Ticket.Class))
        {
            var positions = group.OrderBy(one => one.Ticket.Rank).Select(one => world.Desk.Outlook(one.Ticket).Position);
            positions.ShouldBe(Enumerable.Range(0, group.Count()), "first in, first out");
        }
    }

    private static Demand Demand(Ticket ticket) => new() { Route = ticket.Route, Work = ticket.Work, Rank = ticket.Rank, Tried = ticket.Tried };
}
