using Loom.Control.Admission;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

public sealed class LeaseTests
{
    [Fact]
    public async Task RetiredModel_OnAReplicaOfSeveral_WaitsForAndCutsItsOwnRequestsOnly()
    {
        using var world = new AdmissionWorld(capacity: 10, [("r0", "a", 4)]);
        world.Publish(status => status with { EngineKind = "openai", Models = ["a", "b"] });
        world.Enter("a", out var other).ShouldBe(Admittance.Granted);
        world.Enter("b", out var retired).ShouldBe(Admittance.Granted);
        var status = world.Replicas[0].Status;
        var quiet = world.Desk.QuietAsync(status.Id, status.Url!, "b", TestContext.Current.CancellationToken);
        quiet.IsCompleted.ShouldBeFalse();

        world.Desk.Cut(status.Id, status.Url!, "b");
        retired.Loss.ShouldBe(LeaseLoss.Drained);
        other.Loss.ShouldBe(LeaseLoss.None);
        world.Desk.Release(retired, measured: false);

        (await quiet.WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken)).ShouldBeTrue();
    }

    private const string Url = "http://127.0.0.1:1/v1";

    private static readonly ReplicaId s_replica = new("n", "p-demo", "r0");

    [Fact]
    public async Task Quiet_WorkMayStillBeginThere_WaitsForTheViewThatForbidsIt()
    {
        using var world = new AdmissionWorld(capacity: 1, replicas: [("r0", "demo", 2)]);
        var quiet = world.Desk.QuietAsync(s_replica, Url, CancellationToken.None);
        quiet.IsCompleted.ShouldBeFalse();

        world.Publish(ReplicaState.Draining);

        (await quiet).ShouldBeTrue();
    }

    [Fact]
    public async Task Quiet_NothingRuns_AtOnce()
    {
        using var world = new AdmissionWorld(capacity: 1, replicas: [("r0", "demo", 2)]);
        world.Publish(ReplicaState.Draining);

        (await world.Desk.QuietAsync(s_replica, Url, CancellationToken.None)).ShouldBeTrue();
        (await world.Desk.QuietAsync(s_replica, "http://another", CancellationToken.None)).ShouldBeTrue();
    }

    [Fact]
    public async Task Quiet_RequestsRun_AfterTheLastOrAtTheDeadline()
    {
        using var world = new AdmissionWorld(capacity: 1, replicas: [("r0", "demo", 2)]);
        world.Enter("demo", out var one);
        world.Enter("demo", out var two);
        world.Publish(ReplicaState.Draining);
        using var deadline = new CancellationTokenSource();
        var late = world.Desk.QuietAsync(s_replica, Url, deadline.Token);
        var quiet = world.Desk.QuietAsync(s_replica, Url, CancellationToken.None);

        world.Desk.Release(one, measured: false);
        quiet.IsCompleted.ShouldBeFalse();
        await deadline.CancelAsync();
        (await late).ShouldBeFalse();
        world.Desk.Release(two, measured: false);

        (await quiet).ShouldBeTrue();
    }

    [Fact]
    public async Task NewAddress_TheOldRunKeepsItsRequests_TheNewOneHasAllSlots()
    {
        using var world = new AdmissionWorld(capacity: 4, replicas: [("r0", "demo", 1)]);
        var holder = new Holder();
        world.Enter("demo", out var old, holder: holder);

        world.Publish(status => status with { Url = "http://127.0.0.1:2/v1" });

        world.Enter("demo", out var young).ShouldBe(Admittance.Granted, "the new run has no work yet");
        young.Replica!.Load.ShouldNotBeSameAs(old.Replica!.Load);
        var quiet = world.Desk.QuietAsync(s_replica, Url, CancellationToken.None);
        quiet.IsCompleted.ShouldBeFalse();
        world.Enter("demo", out var waiting).ShouldBe(Admittance.Waiting);
        world.Desk.Release(old, measured: false);
        (await quiet).ShouldBeTrue();
        waiting.HoldsLease.ShouldBeFalse("a slot of the old run is of no use");
        holder.Losses.ShouldBeEmpty();
    }

    [Fact]
    public void NoAddressForAMoment_IsTheSameRun()
    {
        using var world = new AdmissionWorld(capacity: 4, replicas: [("r0", "demo", 1)]);
        world.Enter("demo", out _);

        world.Publish(status => status with { Url = null, State = ReplicaState.Unready });
        world.Publish(ReplicaState.Ready);

        world.Replicas[0].Load.Leases.ShouldBe(1);
    }

    [Fact]
    public void Cut_HoldersOfThatRunAreTold_OthersAreNot()
    {
        using var world = new AdmissionWorld(capacity: 4, replicas: [("r0", "demo", 2), ("r1", "demo", 2)]);
        var holders = Enumerable.Range(0, 4).Select(_ => new Holder()).ToList();
        var tickets = holders.ConvertAll(holder =>
        {
            world.Enter("demo", out var ticket, holder: holder).ShouldBe(Admittance.Granted);
            return ticket;
        });

        world.Desk.Cut(s_replica, Url);

        for (var i = 0; i < tickets.Count; i++)
        {
            var cut = tickets[i].Replica!.Status.Id == s_replica;
            holders[i].Losses.ShouldBe(cut ? [(tickets[i].Lease, LeaseLoss.Drained)] : []);
            tickets[i].Loss.ShouldBe(cut ? LeaseLoss.Drained : LeaseLoss.None);
            tickets[i].HoldsLease.ShouldBeTrue("it is theirs until they give it back");
        }
    }

    [Fact]
    public void LoseNodeOrVanish_HoldersAreToldOnce()
    {
        using var world = new AdmissionWorld(capacity: 4, replicas: [("r0", "demo", 2)]);
        var holder = new Holder();
        world.Enter("demo", out var ticket, holder: holder);

        world.Desk.LoseNode("n");
        world.Desk.LoseNode("n");
        world.PublishNothing();

        holder.Losses.ShouldBe([(ticket.Lease, LeaseLoss.NodeLost)]);
        world.Desk.Release(ticket, measured: false);
    }

    private sealed class Holder : ILeaseHolder
    {
        public List<(long Lease, LeaseLoss Loss)> Losses { get; } = [];

        public void Lost(long lease, LeaseLoss loss) => Losses.Add((lease, loss));
    }
}
