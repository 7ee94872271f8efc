using Loom.Control.Nodes;
using Loom.Testing.Nodes;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Nodes;

public sealed class NodeRegistryTests
{
    private readonly RegistryWorld _world = new();

    [Fact]
    public void Node_BeforeItsFirstHeartbeat_GetsNoWork()
    {
        _world.Register("a").ShouldBe(RegisterOutcome.New);

        _world.StateOf("a").ShouldBe(NodeState.Registering);
        _world.Registry.Offers().ShouldBeEmpty();
    }

    [Fact]
    public void Heartbeat_First_MakesItOnlineAndItsReplicasReachable()
    {
        _world.Register("a");
        _world.Beat("a").ShouldBe(BeatOutcome.NeedsContent);

        _world.StateOf("a").ShouldBe(NodeState.Online);
        var replica = _world.Offered("a").ShouldHaveSingleItem();
        replica.Id.ShouldBe(new ReplicaId("a", "chat", "r0"));
        replica.Url.ShouldBe("http://a:9200/v2/pools/chat/replicas/r0/v1");
        replica.State.ShouldBe(ReplicaState.Ready);
    }

    [Fact]
    public void Node_DrainedOrSilent_ItsReplicasSaySo()
    {
        _world.Register("a");
        _world.Beat("a");
        _world.Offered("a")[0].Node.ShouldBe(NodeCondition.Online);

        _world.Registry.Drain("a", drained: true);
        _world.Offered("a")[0].Node.ShouldBe(NodeCondition.Draining);
        _world.Registry.Drain("a", drained: false);
        _world.Registry.Refused("a", "no connection", DateTimeOffset.UnixEpoch);

        _world.Offered("a")[0].Node.ShouldBe(NodeCondition.Offline);
    }

    [Fact]
    public void Heartbeat_SaysNothingNew_PublishesNothing()
    {
        _world.Register("a");
        _world.Beat("a");
        var version = _world.Registry.Version;

        _world.Beat("a").ShouldBe(BeatOutcome.Same);
        _world.Beat("a", content: 2).ShouldBe(BeatOutcome.NeedsContent); // other words, the same meaning

        _world.Registry.Version.ShouldBe(version);
    }

    [Fact]
    public void Heartbeat_OlderNumber_IsIgnored()
    {
        _world.Register("a");
        _world.Beat("a", seq: 5);
        _world.Now = 20;

        _world.Beat("a", seq: 4, content: 2, whole: RegistryWorld.Heartbeat(RegistryWorld.Pool(ready: false))).ShouldBe(BeatOutcome.Older);

        _world.Offered("a")[0].State.ShouldBe(ReplicaState.Ready);
        _world.Registry.Find("a")!.Life.HeardAt.ShouldBe(TimeSpan.Zero);
    }

    [Fact]
    public void Heartbeat_OfAnUnknownNodeOrOfAnotherStart_MustRegister()
    {
        _world.Beat("a").ShouldBe(BeatOutcome.Unknown);
        _world.Register("a", instance: "two");
        _world.Beat("a", instance: "one").ShouldBe(BeatOutcome.Unknown);
        _world.Beat("a", instance: null).ShouldBe(BeatOutcome.NeedsContent); // an agent that does not tell
    }

    [Fact]
    public void Silence_LongerThanTheTimeout_MakesItOfflineWithinOneInterval()
    {
        _world.Register("a");
        _world.Beat("a");
        _world.Pass(30).Lost.ShouldBeEmpty();

        _world.Pass(10).Lost.ShouldBe(["a"]);

        _world.StateOf("a").ShouldBe(NodeState.Offline);
        _world.Offered("a")[0].State.ShouldBe(ReplicaState.Failed);
        _world.Beat("a");
        _world.StateOf("a").ShouldBe(NodeState.Online);
        _world.Offered("a")[0].State.ShouldBe(ReplicaState.Ready);
    }

    [Fact]
    public void Silence_OfANodeThatNeverBeat_MakesItOffline()
    {
        _world.Register("a");

        _world.Pass(40).Lost.ShouldBe(["a"]);
    }

    [Fact]
    public void Silence_OfMoreThanHalf_IsDoubtedOnceThenBelieved()
    {
        Online(4);
        _world.Now = 25;
        _world.Beat("n0");
        _world.Now = 30;
        _world.Check();
        _world.Now = 40;

        var first = _world.Check();
        first.Lost.ShouldBeEmpty();
        first.Doubted.ShouldBe(["n1", "n2", "n3"]);
        _world.StateOf("n1").ShouldBe(NodeState.Online);
        _world.Offered("n1")[0].State.ShouldBe(ReplicaState.Unready); // no work meanwhile
        _world.Beat("n2");
        _world.Offered("n2")[0].State.ShouldBe(ReplicaState.Ready);
        _world.Now = 50;

        _world.Check().Lost.ShouldBe(["n1", "n3"]);
    }

    [Theory]
    [InlineData(4, 2, false)]
    [InlineData(4, 3, true)]
    [InlineData(3, 3, false)]
    [InlineData(5, 3, true)]
    [InlineData(100, 50, false)]
    public void Guard_CountsOnlineNodes_AndWhoWouldBeLost(int online, int lost, bool doubts) =>
        StaleCheck.Doubts(online, lost, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(10)).ShouldBe(doubts);

    [Theory]
    [InlineData(30, false)]
    [InlineData(30.1, true)]
    public void Guard_CheckRunsLateByMoreThanTwoIntervals_Doubts(double sinceLast, bool doubts) =>
        StaleCheck.Doubts(1, 1, TimeSpan.FromSeconds(sinceLast), TimeSpan.FromSeconds(10)).ShouldBe(doubts);

    [Fact]
    public void Machine_Suspended_NobodyIsLostByIt()
    {
        Online(2);
        _world.Now = 3600; // nobody checked meanwhile, and nobody was heard

        _world.Check().Lost.ShouldBeEmpty();
        _world.Now = 3605;
        _world.Beat("n0");
        _world.Now = 3610;

        _world.Check().Lost.ShouldBe(["n1"]);
    }

    [Fact]
    public void Refusal_OfAConnection_UntilTheNextHeartbeat()
    {
        _world.Register("a");
        _world.Beat("a");

        _world.Registry.Refused("a", "connection refused", _world.Wall).ShouldBeTrue();

        _world.Offered("a")[0].State.ShouldBe(ReplicaState.Unready);
        _world.Registry.Refused("a", "connection refused", _world.Wall).ShouldBeFalse();
        _world.Beat("a").ShouldBe(BeatOutcome.Same);
        _world.Offered("a")[0].State.ShouldBe(ReplicaState.Ready);
    }

    [Fact]
    public void Register_SameStartAgain_ChangesNothing()
    {
        _world.Register("a");
        _world.Beat("a");

        _world.Register("a").ShouldBe(RegisterOutcome.Again);

        _world.StateOf("a").ShouldBe(NodeState.Online);
        _world.Offered("a").Length.ShouldBe(1);
    }

    [Fact]
    public void Register_NewStart_LosesWhatTheOldOneHad()
    {
        _world.Register("a");
        _world.Beat("a", seq: 900);

        _world.Register("a", instance: "two").ShouldBe(RegisterOutcome.Restarted);

        _world.StateOf("a").ShouldBe(NodeState.Registering);
        _world.Registry.Offers().ShouldBeEmpty();
        _world.Beat("a", seq: 1, instance: "two").ShouldBe(BeatOutcome.NeedsContent);
    }

    [Fact]
    public void Register_AnotherMachine_OnlyWhenTheFirstIsOffline()
    {
        _world.Register("a");
        _world.Beat("a");

        _world.Register("a", machine: "impostor", instance: "x").ShouldBe(RegisterOutcome.InUse);
        _world.Offered("a")[0].State.ShouldBe(ReplicaState.Ready);
        _world.Registry.Find("a")!.Errors.All.ShouldHaveSingleItem().Message.ShouldContain("another machine");

        _world.Pass(40);
        _world.Register("a", machine: "successor", instance: "x").ShouldBe(RegisterOutcome.Replaced);
        _world.Offered("a").ShouldBeEmpty();
    }

    [Fact]
    public void Offline_ForLong_IsForgotten()
    {
        var world = new RegistryWorld(forget: 100);
        world.Register("a");
        world.Beat("a");
        world.Pass(40).Lost.ShouldBe(["a"]);
        world.Pass(90).Forgotten.ShouldBeEmpty();

        world.Pass(10).Forgotten.ShouldBe(["a"]);

        world.Registry.Count.ShouldBe(0);
        world.Registry.Offers().ShouldBeEmpty();
    }

    [Fact]
    public void Drain_ByAnOperator_OutlivesARestartAndEndsWithUndrain()
    {
        _world.Register("a");
        _world.Beat("a");

        _world.Registry.Drain("a", drained: true).ShouldBeTrue();
        _world.Offered("a")[0].State.ShouldBe(ReplicaState.Draining);
        _world.Register("a", instance: "two");
        _world.Beat("a", instance: "two");
        _world.Offered("a")[0].State.ShouldBe(ReplicaState.Draining);
        _world.Registry.Drain("a", drained: false);

        _world.Offered("a")[0].State.ShouldBe(ReplicaState.Ready);
        _world.Registry.Drain("b", drained: true).ShouldBeFalse();
    }

    [Fact]
    public void Slots_FreeAreClampedAndOthersAreToldFromOurs()
    {
        var id = new ReplicaId("a", "chat", "r0");
        _world.Register("a");
        _world.Leases[id] = 1;

        _world.Beat("a", whole: RegistryWorld.Heartbeat(RegistryWorld.Pool(free: 1)));
        _world.Offered("a")[0].SlotsBusyElsewhere.ShouldBe(2);
        _world.Beat("a", content: 2, whole: RegistryWorld.Heartbeat(RegistryWorld.Pool(free: 99)));

        _world.Offered("a")[0].SlotsBusyElsewhere.ShouldBe(0);
        _world.Registry.Find("a")!.Pools[0].SlotsFree.ShouldBe(4);
    }

    [Fact]
    public void Clock_OfTheNode_IsReportedAndDecidesNothing()
    {
        _world.Register("a");
        _world.Now = 10;

        _world.Beat("a", timestamp: _world.Wall.AddHours(-3));

        _world.Registry.Find("a")!.ClockSkew.ShouldBe(TimeSpan.FromHours(-3));
        _world.Pass(25).Lost.ShouldBeEmpty();
    }

    [Fact]
    public void Errors_AreBoundedAndARepeatedOneCountsOnce()
    {
        _world.Register("a");
        for (var i = 0; i < 100; i++)
        {
            _world.Beat("a", content: i, whole: RegistryWorld.Heartbeat(RegistryWorld.Pool(ready: false, error: $"trouble {i / 2}")));
        }

        var errors = _world.Registry.Find("a")!.Errors.All;
        errors.Length.ShouldBe(16);
        errors[^1].Message.ShouldBe("chat/r0: trouble 49");
        errors.Select(e => e.Message).ShouldBeUnique();
    }

    [Fact]
    public void TwoNodes_OfferOnePool_NeitherOverwritesTheOther()
    {
        Online(2);

        _world.Registry.Offers().Select(r => r.Id.ToString()).ShouldBe(["n0/chat/r0", "n1/chat/r0"]);
        _world.Registry.Remove("n0").ShouldBeTrue();
        _world.Registry.Offers().Select(r => r.Id.ToString()).ShouldBe(["n1/chat/r0"]);
    }

    private void Online(int count)
    {
        for (var i = 0; i < count; i++)
        {
            _world.Register($"n{i}");
            _world.Beat($"n{i}");
        }
    }
}
