using System.Collections.Immutable;
using Loom.Fast.Tests.Node;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Pools;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Pools;

public sealed class PoolMachineTests
{
    private static readonly PoolPlan s_plan = Fixtures.Pool(EngineKinds.Mock) with { Models = ["a", "b"], Replicas = 2 };

    [Fact]
    public void First_Plan_AllAtRestWithTheFirstModelInFront()
    {
        var view = PoolMachine.View(PoolMachine.First(s_plan, "here"));
        view.Select(r => r.Id.ToString()).ShouldBe(["here/chat/r0", "here/chat/r1"]);
        view.ShouldAllBe(r => r.State == ReplicaState.Stopped && r.Model == "a" && r.Swap && r.MinResidencySecs == 30);
    }

    [Fact]
    public void Asked_OneUnderWay_ChangesNothing()
    {
        var busy = Step(PoolMachine.First(s_plan, "here"), new PoolEvent.Asked("reload"));
        busy.Operation.ShouldBe("reload");
        PoolMachine.Step(busy, new PoolEvent.Asked("drain"), 0).ShouldBeSameAs(busy);
        Step(busy, new PoolEvent.Ended()).Operation.ShouldBeNull();
    }

    [Fact]
    public void Beside_OldOneReady_ReloadingWithItsAddressAndTheNewOnesProgress()
    {
        var pool = Step(Ready(), new PoolEvent.Joined(0, Seat(7, "b", new EngineState.Starting(Run("b", 28081), 40))), new PoolEvent.ModeSet(0, MemberMode.Beside));
        var shown = PoolMachine.View(pool)[0];
        shown.State.ShouldBe(ReplicaState.Reloading);
        shown.Url.ShouldBe("http://127.0.0.1:28080/v1");
        shown.Model.ShouldBe("a");
        shown.LoadPercent.ShouldBe(40);
    }

    [Fact]
    public void Beside_OldOneGoesDown_NoAddressIsNamed()
    {
        var pool = Step(Ready(), new PoolEvent.Joined(0, Seat(7, "b", new EngineState.Stopped(null))), new PoolEvent.ModeSet(0, MemberMode.Beside),
            new PoolEvent.EngineTold(0, new EngineState.Unready(Run("a", 28080), null, "exit code 1", false)));
        PoolMachine.View(pool)[0].ShouldSatisfyAllConditions(r => r.State.ShouldBe(ReplicaState.Reloading), r => r.Url.ShouldBeNull());
    }

    [Fact]
    public void Down_NewOneLoads_OnlyTheModelThatCanBeWaitedForIsNamed()
    {
        var alone = s_plan with { Models = ["a"] };
        var pool = Step(Ready(alone), new PoolEvent.Joined(0, new Seat(7, alone.Loading("c"), new EngineState.Stopped(null))), new PoolEvent.ModeSet(0, MemberMode.Down));
        var shown = PoolMachine.View(pool)[0];
        shown.State.ShouldBe(ReplicaState.Reloading);
        shown.Url.ShouldBeNull();
        shown.Models.ShouldBe(["c"]);
        shown.MainModel.ShouldBe("c", "a name that means the pool's first model must lead to one it lists");
    }

    [Fact]
    public void Switched_ToAModelThePoolDoesNotList_ItsAliasesLeadThere()
    {
        var alone = s_plan with { Models = ["a"] };
        var pool = Step(Ready(alone), new PoolEvent.Joined(0, new Seat(7, alone.Loading("c"), new EngineState.Ready(Run("c", 28081), EngineFacts.None))), new PoolEvent.Switched([0]));
        PoolMachine.View(pool)[0].MainModel.ShouldBe("c");
        PoolMachine.View(Step(Ready(), new PoolEvent.Joined(0, new Seat(7, s_plan.Loading("b"), new EngineState.Stopped(null))), new PoolEvent.Switched([0])))[0].MainModel.ShouldBe("a");
    }

    [Fact]
    public void Switched_TwoReplicas_BothServeTheNewModelAfterOneStep()
    {
        var pool = Ready();
        for (var i = 0; i < 2; i++)
        {
            pool = Step(pool, new PoolEvent.Joined(i, Seat(7 + i, "b", new EngineState.Ready(Run("b", 28090 + i), EngineFacts.None))), new PoolEvent.ModeSet(i, MemberMode.Beside));
        }

        var view = PoolMachine.View(Step(pool, new PoolEvent.Switched([0, 1])));
        view.Select(r => r.Url).ShouldBe(["http://127.0.0.1:28090/v1", "http://127.0.0.1:28091/v1"]);
        view.ShouldAllBe(r => r.State == ReplicaState.Ready && r.Model == "b");
    }

    [Fact]
    public void EngineTold_KeyOfOneThatIsGone_ChangesNothing()
    {
        var pool = Ready();
        PoolMachine.Step(pool, new PoolEvent.EngineTold(99, new EngineState.Failed("late news", null, 0)), 0).ShouldBeSameAs(pool);
    }

    [Fact]
    public void EngineTold_SpawnToReady_MeasuresTheLoad()
    {
        var pool = PoolMachine.First(s_plan, "here");
        pool = PoolMachine.Step(pool, new PoolEvent.EngineTold(0, new EngineState.Starting(Run("a", 28080), null)), 1_000);
        pool = PoolMachine.Step(pool, new PoolEvent.EngineTold(0, new EngineState.Starting(Run("a", 28080), 50)), 2_000);
        pool = PoolMachine.Step(pool, new PoolEvent.EngineTold(0, new EngineState.Ready(Run("a", 28080), EngineFacts.None)), 4_500);
        pool.Members[0].LoadMs.ShouldBe(3_500);
        pool.Members[0].ReadySinceMs.ShouldBe(4_500);
    }

    [Fact]
    public void EngineTold_ReadyAfterAProbe_KeepsTheMeasuredLoad()
    {
        var pool = Ready();
        var load = pool.Members[0].LoadMs;
        pool = PoolMachine.Step(pool, new PoolEvent.EngineTold(0, new EngineState.Unready(Run("a", 28080), null, "no answer", true)), 50_000);
        pool = PoolMachine.Step(pool, new PoolEvent.EngineTold(0, new EngineState.Ready(Run("a", 28080), EngineFacts.None)), 90_000);
        pool.Members[0].LoadMs.ShouldBe(load);
        pool.Members[0].ReadySinceMs.ShouldBe(90_000);
    }

    [Fact]
    public void DrainSet_RunningAndResting_OnlyWhatRunsDrains()
    {
        var pool = Step(Ready(), new PoolEvent.EngineTold(1, new EngineState.Stopped(null)), new PoolEvent.DrainSet(true));
        PoolMachine.View(pool).Select(r => r.State).ShouldBe([ReplicaState.Draining, ReplicaState.Stopped]);
        PoolMachine.View(Step(pool, new PoolEvent.DrainSet(false)))[0].State.ShouldBe(ReplicaState.Ready);
    }

    [Fact]
    public void DrainSet_WhileReloading_TakesNoWorkAllTheSame()
    {
        var pool = Step(Ready(), new PoolEvent.DrainSet(true), new PoolEvent.ModeSet(0, MemberMode.Beside));
        PoolMachine.View(pool)[0].State.ShouldBe(ReplicaState.Draining);
    }

    [Fact]
    public void LostBoth_UntilOneAnswers_FailedWithTheReason()
    {
        var trouble = new EngineState.Unready(Run("a", 28080), null, "exit code 1", false);
        var pool = Step(Ready(), new PoolEvent.EngineTold(0, trouble), new PoolEvent.LostBoth(0, "it is all gone"));
        PoolMachine.View(pool)[0].ShouldSatisfyAllConditions(r => r.State.ShouldBe(ReplicaState.Failed), r => r.LastError.ShouldBe("it is all gone"));
        pool = Step(pool, new PoolEvent.EngineTold(0, new EngineState.Ready(Run("a", 28080), EngineFacts.None)));
        PoolMachine.View(pool)[0].State.ShouldBe(ReplicaState.Ready);
    }

    [Fact]
    public void Rested_UntilItStarts_SaysWhy()
    {
        var pool = Step(PoolMachine.First(s_plan, "here"), new PoolEvent.Rested(0, "starts on demand"));
        PoolMachine.View(pool)[0].LastError.ShouldBe("starts on demand");
        pool = Step(pool, new PoolEvent.EngineTold(0, new EngineState.Provisioning(1, null, null)));
        PoolMachine.View(pool)[0].LastError.ShouldBeNull();
    }

    [Theory]
    [InlineData("b", "b,a")]
    [InlineData("a", "a,b")]
    [InlineData("c", "c,b")]
    public void Loading_OwnOrForeignModel_ComesToTheFront(string model, string models) =>
        s_plan.Loading(model).ModelIds.ShouldBe(models.Split(','));

    [Fact]
    public void OfferedIds_SwapOff_OnlyTheLoadedOne()
    {
        (s_plan with { SwapSet = false }).OfferedIds.ShouldBe(["a"]);
        s_plan.OfferedIds.ShouldBe(["a", "b"]);
    }

    private static PoolState Ready(PoolPlan? plan = null)
    {
        var pool = PoolMachine.First(plan ?? s_plan, "here");
        for (var i = 0; i < pool.Members.Length; i++)
        {
            pool = PoolMachine.Step(pool, new PoolEvent.EngineTold(i, new EngineState.Starting(Run("a", 28080 + i), null)), 1_000);
            pool = PoolMachine.Step(pool, new PoolEvent.EngineTold(i, new EngineState.Ready(Run("a", 28080 + i), EngineFacts.None)), 2_000);
        }

        return pool;
    }

    private static Seat Seat(int key, string model, EngineState state) => new(key, s_plan.Loading(model), state);

    private static EngineRun Run(string model, int port) =>
        new(new PreparedEngine { Program = "/usr/bin/engine", Model = new PreparedModel(model, $"/models/{model}.gguf", 1000) }, port, 1);

    private static PoolState Step(PoolState state, params ImmutableArray<PoolEvent> events) =>
        events.Aggregate(state, (pool, news) => PoolMachine.Step(pool, news, 10_000));
}
