using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Processes;
using Shouldly;
using Xunit;
using static Loom.Fast.Tests.Orchestration.Plans;

namespace Loom.Fast.Tests.Orchestration;

public sealed class AgentMachineTests
{
    [Fact]
    public void Start_Chain_EachWaitsForTheOneBeforeAndSaysSo()
    {
        var stage = new Stage(Project(Agent("web", "api"), Agent("api", "db"), Agent("db"), Agent("alone"))).Start();
        stage.Take().ShouldBe(["add web", "hold web", "add api", "hold api", "add db", "start db", "add alone", "start alone"]);
        stage.Shown("web").ShouldBe("pending: waits for api to be ready");
        stage.Shown("api").ShouldBe("pending: waits for db to be ready");
        stage.Ready("db").Take().ShouldBe(["start api"]);
        stage.Ready("api").Take().ShouldBe(["start web"]);
        stage.Ready("web", "alone").Take().ShouldBeEmpty();
    }

    [Fact]
    public void Start_Pool_WaitsForItWhateverItDoes()
    {
        var stage = new Stage(Project(Agent("writer", "pools.chat"))).Start();
        stage.Shown("writer").ShouldBe("pending: waits for pools.chat to be ready");
        stage.Pool("chat", started: true, ready: false).Shown("writer").ShouldBe("pending: waits for pools.chat to be ready");
        stage.Pool("chat", started: false, ready: false, failed: true).Shown("writer").ShouldBe("skipped: needs pools.chat to be ready, but it has failed");
        stage.Take();
        stage.Pool("chat", started: true, ready: true).Take().ShouldBe(["start writer"]);
        stage.Pool("chat", started: false, ready: false).Take().ShouldBeEmpty();
    }

    [Theory]
    [InlineData("started")]
    [InlineData("ready")]
    [InlineData("succeeded")]
    [InlineData("ended")]
    public void Start_Condition_HoldsFromItsMomentOn(string condition)
    {
        var stage = new Stage(Project(Agent("a", "job:" + condition), Agent("job"))).Start();
        Started(stage).ShouldBe(condition is "started");
        stage.Ready("job");
        Started(stage).ShouldBe(condition is "started" or "ready");
        stage.Completed("job");
        Started(stage).ShouldBeTrue();
    }

    [Theory]
    [InlineData("started", "skipped: needs job to be started, but job failed: exit 1")]
    [InlineData("ready", "skipped: needs job to be ready, but job failed: exit 1")]
    [InlineData("succeeded", "skipped: needs job to succeed, but job failed: exit 1")]
    public void Start_DependencyFails_SkippedUntilItIsStartedAgain(string condition, string shown)
    {
        var stage = new Stage(Project(Agent("a", "job:" + condition), Agent("job")), byHand: true).Start();
        Carry(stage);
        stage = new Stage(Project(Agent("a", "job:" + condition, "pools.gate"), Agent("job"))).Start(); // the pool holds it back
        stage.Failed("job", "exit 1").Shown("a").ShouldBe(shown);
        stage.Pool("gate", started: true, ready: true).Take();
        stage.Shown("a").ShouldBe(shown);
        stage.Start("job").Ready("job").Completed("job");
        Started(stage).ShouldBeTrue();
    }

    [Fact]
    public void Start_DependencyFails_EndedHoldsAndChainsAreSkippedAlong()
    {
        var stage = new Stage(Project(Agent("c", "b"), Agent("b", "a"), Agent("a"), Agent("cleanup", "a:ended"))).Start();
        stage.Take();
        stage.Failed("a", "exit 3").Shown("c").ShouldBe("skipped: needs b to be ready, but b was skipped");
        stage.Take().ShouldContain("start cleanup");
        stage.Start("c").Take().ShouldContain("start a"); // what it depends on comes along
        stage.Ready("a").Ready("b").Ready("c").Shown("c").ShouldBe("ready");
    }

    [Fact]
    public void Start_CommandNotFound_EndedCanNeverHold()
    {
        var stage = new Stage(Project(Agent("after", "a:ended"), Agent("a"))).Start();
        stage.Failed("a", "no such command", code: null).Shown("after").ShouldBe("skipped: needs a to end, but a failed: no such command");
    }

    [Fact]
    public void Crash_BeforeTheEnd_IsNoEnd()
    {
        var stage = new Stage(Project(Agent("after", "a:ended"), Agent("next", "a:succeeded"), Agent("a"))).Start();
        stage.Crash("a").Respawn("a").Shown("after").ShouldBe("pending: waits for a to end");
        stage.Crash("a", code: 0).Take().ShouldContain("start after"); // it did its work, though its policy starts it again
        stage.Shown("next").ShouldBe("running");
    }

    [Fact]
    public void Completed_QuickJobWithoutProbe_CountsAsReady()
    {
        var probed = Agent("server").With(p => p with { Ready = new ProbePlan { Check = new ProbeCheck.Tcp("127.0.0.1", 1) } });
        var stage = new Stage(Project(Agent("a", "job"), Agent("b", "server"), Agent("job"), probed)).Start();
        stage.Completed("job", "server");
        stage.Shown("a").ShouldBe("running");
        stage.Shown("b").ShouldBe("skipped: needs server to be ready, but server completed before it was ready (for a job, write { server = \"succeeded\" })");
    }

    [Fact]
    public void Replicas_Dependency_NeedsAllOfThem()
    {
        var stage = new Stage(Project(Agent("a", "w"), Replicated("w", 3), Agent("b", "none"), Replicated("none", 0))).Start();
        stage.Shown("b").ShouldBe("running"); // told to do without it
        stage.Ready("w-1", "w-3").Shown("a").ShouldBe("pending: waits for w to be ready (2 of 3)");
        stage.Ready("w-2").Shown("a").ShouldBe("running");
        stage.Stop("w-2").Take().ShouldContain("stop w-2");
        stage.Shown("w-1").ShouldBe("ready");
        stage.Stop("w").Take().ShouldBe(["stop w-1", "stop w-3"]);
    }

    [Fact]
    public void Stop_All_ReverseOrderEachAfterWhatNeedsItIsGone()
    {
        var stage = new Stage(Project(Agent("db"), Agent("cache"), Agent("api", "db", "cache"), Agent("web", "api")), byHand: true).Start();
        Carry(stage);
        stage.Ready("db", "cache");
        Carry(stage);
        stage.Ready("api");
        Carry(stage);
        stage.Ready("web").Take();
        stage.Do(new HostEvent.CloseWanted()).Take().ShouldBe(["stop web"]);
        stage.Shown("db").ShouldBe("ready: stops after what depends on it");
        stage.CarryNext();
        stage.Take().ShouldBe(["stop api"]);
        stage.CarryNext();
        stage.Take().ShouldBe(["stop db", "stop cache"]);
        stage.Start("web").Take().ShouldBeEmpty(); // nothing starts any more
    }

    [Fact]
    public void Stop_Hurry_NobodyWaitsForAnybody()
    {
        var stage = new Stage(Project(Agent("db"), Agent("api", "db")), byHand: true).Start();
        Carry(stage);
        stage.Ready("db");
        Carry(stage);
        stage.Ready("api").Take();
        stage.Do(new HostEvent.CloseWanted()).Take().ShouldBe(["stop api"]);
        stage.Do(new HostEvent.Hurry()).Take().ShouldBe(["stop db"]);
    }

    [Fact]
    public void Stop_ThroughAnUnnamedOne_StillInOrder()
    {
        var stage = new Stage(Project(Agent("c", "b"), Agent("b", "a"), Agent("a")), byHand: true).Start();
        Carry(stage);
        foreach (var name in new[] { "a", "b", "c" })
        {
            stage.Ready(name);
            Carry(stage);
        }

        stage.Take();
        stage.Stop("a", "c").Take().ShouldBe(["stop c"]);
        stage.CarryNext();
        stage.Take().ShouldBe(["stop a"]);
    }

    [Fact]
    public void Stop_WhileStarting_IsAskedForAndNothingStartsAgain()
    {
        var stage = new Stage(Project(Agent("a"), Agent("b", "a")), byHand: true).Start();
        stage.CarryNext().ShouldBeOfType<HostAction.Add>();
        stage.Take();
        stage.Stop("a").Take().ShouldBe(["hold b", "stop a"]); // although its start is not answered
        stage.Shown("b").ShouldStartWith("skipped: needs a to be ready, but a is being stopped");
        Carry(stage);
        stage.Shown("a").ShouldBe("stopped: stopped by request");
        stage.Shown("b").ShouldBe("skipped: needs a to be ready, but a is stopped");
        stage.Take().ShouldNotContain("start a");
    }

    [Fact]
    public void Stop_WhatOthersNeed_LeavesThemRunning()
    {
        var stage = new Stage(Project(Agent("db"), Agent("api", "db"))).Start().Ready("db").Ready("api");
        stage.Take();
        stage.Stop("db").Take().ShouldBe(["stop db"]);
        stage.Shown("api").ShouldBe("ready");
    }

    [Fact]
    public void Stop_WithDependents_TheyStopFirstAndComeBackWithIt()
    {
        var stage = new Stage(Project(Agent("db"), Agent("job"), Agent("api", "db", "job:succeeded"), Agent("web", "api"), Agent("other"))).Start();
        stage.Ready("db", "other").Completed("job").Ready("api").Ready("web").Take();
        stage.StopWithDependents("job").Take().ShouldBe(["stop job"]); // it has done its work: nobody runs on it
        stage.StopWithDependents("db").Take().ShouldBe(["stop web", "stop api", "stop db", "hold api", "hold web"], ignoreOrder: true);
        stage.Shown("web").ShouldBe("skipped: needs api to be ready, but api was skipped");
        stage.Shown("api").ShouldStartWith("skipped: needs db to be ready, but db is");
        stage.Start("db", "job").Ready("db").Completed("job").Ready("api").Shown("web").ShouldBe("running");
    }

    [Fact]
    public void Stop_WithDependents_WhatWasDownBeforeIsMissedByNobody()
    {
        var stage = new Stage(Project(Agent("db"), Agent("worker", "db"), Agent("web", "worker"), Agent("other"))).Start();
        stage.Ready("db", "other").Ready("worker").Ready("web").Stop("db").Take();
        stage.StopWithDependents("other").Take().ShouldBe(["stop other"]); // worker was left running without db
        stage.StopWithDependents("db").Take().ShouldBeEmpty();
        stage.Shown("worker").ShouldBe("ready");

        stage = new Stage(Project(Agent("db"), Agent("worker", "db"), Agent("other"))).Start("other");
        stage.Do(new HostEvent.StartWanted(["worker"], Dependencies: false)).Ready("worker", "other").Take();
        stage.StopWithDependents("other").Take().ShouldBe(["stop other"]); // db never was up
        stage.Start("db").Ready("db").Take();
        stage.StopWithDependents("db").Take().ShouldContain("stop worker");
    }

    [Fact]
    public void Restart_WithoutDependencies_NobodyFollows()
    {
        var stage = new Stage(Project(Agent("db"), Agent("api", "db") with { RestartsWithDependencies = true })).Start();
        stage.Ready("db").Ready("api").Take();
        stage.Do(new HostEvent.RestartWanted(["db"], Dependencies: false)).Ready("db").Take().ShouldBe(["stop db", "start db"]);
        stage.Restart("db").Ready("db").Take().ShouldBe(["stop db", "start db", "restart api"]);
    }

    [Fact]
    public void Start_WhileStopping_ComesUpAfterwardsOnce()
    {
        var stage = new Stage(Project(Agent("a")), byHand: true).Start();
        Carry(stage);
        stage.Ready("a").Take();
        stage.Stop("a").Start("a").Start("a").Take().ShouldBe(["stop a"]);
        Carry(stage);
        stage.Take().ShouldBe(["start a"]);
        stage.Shown("a").ShouldBe("running");
    }

    [Fact]
    public void Start_Named_BringsWhatItNeedsAndNothingElse()
    {
        var stage = new Stage(Project(Agent("db"), Agent("api", "db"), Agent("other"))).Start("api");
        stage.Take().ShouldBe(["add db", "start db", "add api", "hold api"], ignoreOrder: true);
        stage.Shown("other").ShouldBe("stopped: not started");
        AgentStatus.Of(stage.State.Find("other")!).Wanted.ShouldBeFalse();
    }

    [Fact]
    public void Start_WithoutDependencies_DoesNotWait()
    {
        var stage = new Stage(Project(Agent("db"), Agent("api", "db")));
        stage.Do(new HostEvent.StartWanted(["api"], Dependencies: false)).Take().ShouldBe(["add api", "start api"]);
    }

    [Fact]
    public void Start_AgainWhatRests_ClearsItWhatRunsIsLeftAlone()
    {
        var stage = new Stage(Project(Agent("a"), Agent("job"), Agent("bad"), Agent("loop"))).Start().Ready("a").Completed("job").Failed("bad", "exit 1").Crash("loop");
        stage.Take();
        stage.Start().Take().ShouldBe(["start bad"]); // a second 'up': what has completed is done, what waits for its restart is on its way
        stage.Start("a", "job", "loop").Take().ShouldBe(["start job", "start loop"]);
    }

    [Fact]
    public void Restart_All_DownInReverseUpInOrder()
    {
        var stage = new Stage(Project(Agent("db"), Agent("api", "db"))).Start().Ready("db").Ready("api");
        stage.Take();
        stage.Restart("db", "api").Take().ShouldBe(["stop api", "stop db", "start db", "hold api"]);
        stage.Shown("api").ShouldBe("pending: waits for db to be ready");
        stage.Ready("db").Take().ShouldContain("start api");
    }

    [Fact]
    public void OnDependencyRestart_Restart_FollowsOnceItIsReadyAgain()
    {
        var stage = new Stage(Project(Agent("db"), Agent("api", "db") with { RestartsWithDependencies = true }, Agent("web", "db"))).Start();
        stage.Ready("db").Ready("api", "web").Take();
        stage.Crash("db").Respawn("db").Take().ShouldBeEmpty();
        stage.Ready("db").Take().ShouldBe(["restart api"]);
        stage.Ready("api").Take().ShouldBeEmpty();
        stage.Stop("db").Start("db").Ready("db").Take().ShouldBe(["stop db", "start db", "restart api"]);
    }

    [Fact]
    public void OnDependencyRestart_DependencyGetsAnotherPlan_Follows()
    {
        var api = Agent("api", "db") with { RestartsWithDependencies = true };
        var stage = new Stage(Project(Agent("db"), api)).Start().Ready("db").Crash("db").Respawn("db").Ready("db").Ready("api");
        stage.Take();
        stage.Do(new HostEvent.PlanWanted(Project(Agent("db").With(p => p with { Command = ["db2"] }), api)));
        stage.Take().ShouldBe(["stop db", "replace db", "start db"]);
        stage.Ready("db").Take().ShouldBe(["restart api"]);
    }

    [Fact]
    public void OnDependencyRestart_RestartedItselfMeanwhile_IsNotDoneTwice()
    {
        var stage = new Stage(Project(Agent("db"), Agent("api", "db") with { RestartsWithDependencies = true })).Start();
        stage.Ready("db").Ready("api").Take();
        stage.Crash("db").Crash("api").Respawn("db").Respawn("api").Ready("db").Take().ShouldBeEmpty();
    }

    [Fact]
    public void Reload_OnlyWhatRuns_CascadeFollowsWhenReadyAgain()
    {
        var stage = new Stage(Project(Agent("lib"), Agent("app", "lib"), Agent("off"), Agent("late", "pools.x"))).Start();
        stage.Ready("lib").Ready("app").Stop("off").Take();
        stage.Do(new HostEvent.ReloadWanted("lib", "saved", Cascade: true)).Take().ShouldBe(["reload lib"]);
        stage.Ready("lib").Take().ShouldBe(["restart app"]);
        stage.Do(new HostEvent.ReloadWanted("off", "saved", Cascade: false)).Do(new HostEvent.ReloadWanted("late", "saved", Cascade: false)).Take().ShouldBeEmpty();
        stage.Blocked("lib").Shown("app").ShouldBe("running");
        stage.Do(new HostEvent.ReloadWanted("lib", "saved again", Cascade: false)).Take().ShouldBe(["reload lib"]);
    }

    [Fact]
    public void Reload_ExitOfTheOldOne_IsNoEndOfTheNew()
    {
        var stage = new Stage(Project(Agent("a"), Agent("after", "a:succeeded"))).Start().Ready("a");
        stage.Do(new HostEvent.ReloadWanted("a", "saved", Cascade: false)).Ready("a");
        stage.Shown("after").ShouldBe("pending: waits for a to succeed"); // the old one ended with 0 when it was told to
        stage.Completed("a").Shown("after").ShouldBe("running");
    }

    [Fact]
    public void Plan_BackWhileItIsBeingRemoved_StaysAndRunsAgain()
    {
        var both = Project(Agent("x"), Agent("keep"));
        var stage = UpByHand(both);
        stage.Do(new HostEvent.PlanWanted(Project(Agent("keep")))).Take().ShouldBe(["stop x"]);
        stage.Do(new HostEvent.PlanWanted(both));
        Carry(stage);
        stage.Shown("x").ShouldBe("running");

        stage.Ready("x").Do(new HostEvent.PlanWanted(Project(Agent("keep"))));
        stage.CarryNext(); // stopped: the supervisor is to forget it
        stage.Do(new HostEvent.PlanWanted(both));
        Carry(stage);
        stage.Shown("x").ShouldBe("running");
        stage.Take().Count(a => a == "start x").ShouldBe(2);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Plan_RevertedWhileItIsBeingPutInForce_TheNewestRuns(int carried)
    {
        var first = Project(Agent("x"));
        var stage = UpByHand(first);
        stage.Do(new HostEvent.PlanWanted(Project(Agent("x").With(p => p with { Command = ["middle"] }))));
        for (var i = 0; i < carried; i++)
        {
            stage.CarryNext();
        }

        stage.Do(new HostEvent.PlanWanted(first));
        Carry(stage);
        stage.Shown("x").ShouldBe("running");
        stage.State.Find("x")!.Process.Command.ShouldBe(["x"]);
        stage.Take().Count(a => a == "start x").ShouldBe(1);
        stage.Added["x"].Command.ShouldBe(["x"]);
    }

    [Fact]
    public void Plan_RemovedWhileItIsExchanged_IsForgotten()
    {
        var stage = UpByHand(Project(Agent("x")));
        stage.Do(new HostEvent.PlanWanted(Project(Agent("x").With(p => p with { Command = ["middle"] }))));
        stage.CarryNext();
        stage.Do(new HostEvent.PlanWanted(Project()));
        Carry(stage);
        stage.State.Replicas.ShouldBeEmpty();
        stage.Processes.ShouldBeEmpty();
    }

    [Fact]
    public void Refused_ByTheSupervisor_FailsAndSaysWhy()
    {
        var stage = new Stage(Project(Agent("a"), Agent("b", "a")), byHand: true).Start();
        stage.Do(new HostEvent.Refused("a", "the name is in use")).Shown("a").ShouldBe("failed: the name is in use");
        stage.Shown("b").ShouldBe("skipped: needs a to be ready, but a failed: the name is in use");
    }

    [Fact]
    public void Resolve_UnknownName_NamesTheNearest()
    {
        var state = AgentMachine.New(Project(Agent("researcher"), Replicated("writer", 2)));
        AgentNames.Resolve(state, ["writer", "writer-2", "researcher"]).ShouldBe(["writer-1", "writer-2", "researcher"]);
        Should.Throw<UnknownAgentException>(() => AgentNames.Resolve(state, ["reseacher"])).Message
            .ShouldBe("there is no agent 'reseacher'; did you mean 'researcher'? there are: researcher, writer");
    }

    private static Stage UpByHand(ProjectPlan plan)
    {
        var stage = new Stage(plan, byHand: true).Start();
        Carry(stage);
        stage.Ready([.. plan.Agents.Select(a => a.Name)]).Take();
        return stage;
    }

    private static bool Started(Stage stage) => stage.Asked.Contains("start a");

    private static void Carry(Stage stage)
    {
        while (stage.Open.Count > 0)
        {
            stage.CarryNext();
        }
    }
}
