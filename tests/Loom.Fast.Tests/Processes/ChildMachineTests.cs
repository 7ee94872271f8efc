using System.Collections.Immutable;
using FsCheck;
using FsCheck.Fluent;
using Loom.Processes;
using Loom.Processes.Supervision;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Processes;

public sealed class ChildMachineTests
{
    private static readonly ProbePlan s_http = new() { Check = new ProbeCheck.Http(new Uri("http://127.0.0.1:1/")), Within = TimeSpan.FromSeconds(60) };

    [Fact]
    public void Start_WithoutProbe_IsReadyAfterOneSecondAlive()
    {
        var child = new MachineBench(Plan()).Up();
        child.Shown.ShouldBe(ProcessState.Running);
        child.At(0.9).Tick().Shown.ShouldBe(ProcessState.Running);
        child.At(1.0).Tick().Shown.ShouldBe(ProcessState.Ready);
        child.State.Deadline.ShouldBeNull();
    }

    [Fact]
    public void Start_ProbedPortIsTaken_IsACrashNamingTheHolder()
    {
        var child = new MachineBench(Plan() with { Ready = s_http });
        child.Do(new ChildEvent.Start()).ShouldBe([new ChildAction.CheckPort(1)]);
        child.Do(new ChildEvent.PortChecked(1, "port 1 is in use by pid 4121 (nginx)")).ShouldBeEmpty();
        child.Shown.ShouldBe(ProcessState.Backoff);
        child.State.Reason!.ShouldContain("pid 4121 (nginx)");
        child.State.Spawns.ShouldBe(0);
    }

    [Fact]
    public void Start_CommandNotFound_FailsAtOnce()
    {
        var child = new MachineBench(Plan());
        child.Do(new ChildEvent.Start());
        child.Do(new ChildEvent.SpawnRefused(1, "command 'x' not found", Permanent: true));
        child.Shown.ShouldBe(ProcessState.Failed);
        child.State.Deadline.ShouldBeNull();
    }

    [Fact]
    public void Start_SystemOutOfProcesses_TriesAgain()
    {
        var child = new MachineBench(Plan());
        child.Do(new ChildEvent.Start());
        child.Do(new ChildEvent.SpawnRefused(1, "no more processes", Permanent: false));
        child.Shown.ShouldBe(ProcessState.Backoff);
    }

    [Fact]
    public void Readiness_PausesThatGrow_FollowTheTimeSinceTheStartUpToTheirLimit()
    {
        var ready = s_http with { AtFirst = TimeSpan.FromMilliseconds(20), Every = TimeSpan.FromMilliseconds(500) };
        foreach (var (age, pause) in new[] { (0.1, 0.02), (1.0, 0.05), (4.0, 0.2), (10.0, 0.5), (50.0, 0.5) })
        {
            var child = new MachineBench(Plan() with { Ready = ready }).Up();
            child.At(age).Do(new ChildEvent.Probed(1, false, "loading"));
            child.State.Deadline.ShouldBe(child.Start + TimeSpan.FromSeconds(age + pause));
        }
    }

    [Fact]
    public void Readiness_FailsForTooLong_IsACrashThatSaysWhatTheProbeSaw()
    {
        var child = new MachineBench(Plan() with { Ready = s_http }).Up();
        child.Do(new ChildEvent.Probed(1, false, "connection refused"));
        child.State.Deadline.ShouldBe(child.Start + s_http.Every);
        child.At(1).Do(new ChildEvent.Tick()).ShouldBe([new ChildAction.Probe(1, s_http)]);
        child.At(60).Do(new ChildEvent.Tick()).ShouldBe([new ChildAction.CancelProbe(), new ChildAction.Signal(1, 15)]);
        child.Shown.ShouldBe(ProcessState.Stopping);
        child.Do(new ChildEvent.Exited(1, null, 15));
        child.Do(new ChildEvent.Counted(1, []));
        child.Shown.ShouldBe(ProcessState.Backoff);
        child.State.Reason!.ShouldStartWith("not ready within 60.0 s; last probe: connection refused");
    }

    [Fact]
    public void Liveness_ThreeFailuresInARow_IsACrash_TwoAreNot()
    {
        var live = s_http with { Every = TimeSpan.FromSeconds(10) };
        var child = new MachineBench(Plan() with { Live = live }).Up();
        child.At(1).Tick();
        foreach (var _ in Enumerable.Range(0, 2))
        {
            Fail(child);
            child.Shown.ShouldBe(ProcessState.Unhealthy);
            Fail(child);
            child.Shown.ShouldBe(ProcessState.Unhealthy);
            child.After(10).Tick();
            child.Do(new ChildEvent.Probed(1, true, "200"));
            child.Shown.ShouldBe(ProcessState.Ready);
        }

        Fail(child);
        Fail(child);
        Fail(child).ShouldContain(new ChildAction.Signal(1, 15));
        child.Shown.ShouldBe(ProcessState.Stopping);

        static ImmutableArray<ChildAction> Fail(MachineBench child)
        {
            child.After(10).Tick();
            return child.Do(new ChildEvent.Probed(1, false, "timeout"));
        }
    }

    [Fact]
    public void Exit_LeavesOthersBehind_TheyGetTheLadderBeforeTheLeaderIsReaped()
    {
        var child = new MachineBench(Plan()).Up();
        child.Do(new ChildEvent.Exited(1, 1, null)).ShouldBe([new ChildAction.CancelProbe(), new ChildAction.Count(1)]);
        child.Do(new ChildEvent.Counted(1, [MachineBench.Other(77)])).ShouldBe([new ChildAction.Signal(1, 15)]);
        child.Do(new ChildEvent.Counted(1, [MachineBench.Other(77)])).ShouldBeEmpty();
        child.At(1.0).Do(new ChildEvent.Tick()).ShouldBe([new ChildAction.Signal(1, 9)]);
        child.Do(new ChildEvent.Counted(1, [])).ShouldBe([new ChildAction.Reap(1)]);
        child.Shown.ShouldBe(ProcessState.Backoff);
        child.State.Reason!.ShouldStartWith("exit 1 after");
    }

    [Fact]
    public void Exit_FatalCode_IsNeverRetried()
    {
        var child = new MachineBench(Plan() with { Restart = RestartPolicy.Always }).Up();
        child.Die(125);
        child.Shown.ShouldBe(ProcessState.Failed);
    }

    [Theory]
    [InlineData(0, ProcessState.Completed)]
    [InlineData(1, ProcessState.Backoff)]
    public void Exit_OnFailurePolicy_RestartsOnlyFailures(int code, ProcessState expected)
    {
        var child = new MachineBench(Plan()).Up();
        child.Die(code);
        child.Shown.ShouldBe(expected);
    }

    [Fact]
    public void Stop_IgnoredTerm_IsKilledAfterGraceAndSurvivorsAreNamedInTheEnd()
    {
        var child = new MachineBench(Plan() with { Grace = TimeSpan.FromSeconds(3) }).Up();
        child.Do(new ChildEvent.Stop()).ShouldBe([new ChildAction.CancelProbe(), new ChildAction.Signal(1, 15)]);
        child.State.Deadline.ShouldBe(child.Start + TimeSpan.FromSeconds(3));
        child.At(3).Do(new ChildEvent.Tick()).ShouldBe([new ChildAction.Signal(1, 9)]);
        child.Do(new ChildEvent.Counted(1, [MachineBench.Other(5)]));
        child.At(8).Do(new ChildEvent.Tick()).ShouldBe([new ChildAction.Signal(1, 9)]);
        child.Do(new ChildEvent.Counted(1, [MachineBench.Other(5)])).ShouldContain(new ChildAction.Reap(1));
        child.Shown.ShouldBe(ProcessState.Failed);
        child.State.Survivors.ShouldBe([MachineBench.Other(5)]);
        child.State.Reason!.ShouldContain("5 (x)");
    }

    [Fact]
    public void Stop_EndsEveryWait()
    {
        var inBackoff = new MachineBench(Plan()).Up();
        inBackoff.Die(1);
        inBackoff.Do(new ChildEvent.Stop()).ShouldBeEmpty();
        inBackoff.Shown.ShouldBe(ProcessState.Stopped);

        var inPortCheck = new MachineBench(Plan() with { Ready = s_http });
        inPortCheck.Do(new ChildEvent.Start());
        inPortCheck.Do(new ChildEvent.Stop());
        inPortCheck.Do(new ChildEvent.PortChecked(1, null)).ShouldBeEmpty();
        inPortCheck.Shown.ShouldBe(ProcessState.Stopped);
    }

    [Fact]
    public void Stop_WhileACrashIsCleanedUp_StaysDown()
    {
        var child = new MachineBench(Plan()).Up();
        child.Do(new ChildEvent.Exited(1, 1, null));
        child.Do(new ChildEvent.Stop());
        child.Do(new ChildEvent.Counted(1, []));
        child.Shown.ShouldBe(ProcessState.Stopped);
    }

    // Asked to start while what ended by itself is still cleared away: it starts, whatever the policy says.
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(125)]
    public void Start_WhileACrashIsCleanedUp_StartsAgainWithClearedCounters(int code)
    {
        var child = new MachineBench(Plan() with { Restart = RestartPolicy.Never }).Up();
        child.Do(new ChildEvent.Exited(1, code, null));
        child.Do(new ChildEvent.Start());
        child.Do(new ChildEvent.Counted(1, [])).ShouldBe([new ChildAction.Reap(1), new ChildAction.Spawn(2)]);
        child.State.Restarts.ShouldBe(0);
    }

    [Fact]
    public void Exit_ReapedBySomebodyElse_IsAnEndLikeAnyOther()
    {
        var child = new MachineBench(Plan()).Up();
        child.Do(new ChildEvent.Exited(1, null, null));
        child.Do(new ChildEvent.Counted(1, []));
        child.Shown.ShouldBe(ProcessState.Backoff);
        child.State.Reason!.ShouldStartWith("ended, nobody knows how");
    }

    [Fact]
    public void Snapshot_SecretInAReason_IsMasked()
    {
        var secrets = ImmutableDictionary<string, string>.Empty.Add("API_KEY", "swordfish-42").Add("SHORT", "exit");
        var child = new MachineBench(Plan() with { Log = new LogOptions { Secrets = secrets } });
        child.Do(new ChildEvent.Hold(ProcessState.Blocked, "exit: bad key swordfish-42"));
        child.Do(new ChildEvent.Note("swordfish-42"));
        var shown = child.State.Snapshot();
        (shown.Reason, shown.Note).ShouldBe(("exit: bad key [redacted:API_KEY]", "[redacted:API_KEY]"));
    }

    [Fact]
    public void Restart_IsNotCountedAndStartsOnlyWhenTheOldOneIsGone()
    {
        var child = new MachineBench(Plan()).Up();
        child.Do(new ChildEvent.Restart());
        child.State.Incarnation.ShouldBe(1);
        child.Do(new ChildEvent.Exited(1, null, 15)).ShouldBe([new ChildAction.Count(1)]);
        child.Do(new ChildEvent.Counted(1, [])).ShouldBe([new ChildAction.Reap(1), new ChildAction.Spawn(2)]);
        child.State.Restarts.ShouldBe(0);
    }

    [Fact]
    public void Events_OfAnEarlierIncarnation_ChangeNothing()
    {
        var child = new MachineBench(Plan()).Up();
        child.Die(1);
        child.After(2).Tick();
        child.Do(new ChildEvent.Spawned(2, new ProcessIdentity(101, 2)));
        var before = child.State;
        foreach (var old in new ChildEvent[] { new ChildEvent.Exited(1, 1, null), new ChildEvent.Counted(1, []), new ChildEvent.Probed(1, true, ""), new ChildEvent.Spawned(1, default) })
        {
            child.Do(old).ShouldBeEmpty();
        }

        child.State.ShouldBe(before);
    }

    [Fact]
    public void CrashLoop_WithDefaultDelays_MakesAtMostSevenSpawnsInTheFirstMinute()
    {
        var child = new MachineBench(Plan());
        child.Do(new ChildEvent.Start());
        while (true)
        {
            child.Do(new ChildEvent.Spawned(child.State.Incarnation, new ProcessIdentity(100, 1)));
            child.Die(1);
            child.At((child.State.Deadline!.Value - child.Start).TotalSeconds);
            if (child.Now - child.Start > TimeSpan.FromSeconds(60))
            {
                break;
            }

            child.Tick();
        }

        child.State.Spawns.ShouldBeInRange(6, 7);
    }

    /// <summary>Whatever happens in whatever order: one incarnation at a time, and nothing is reaped or spawned out of turn.</summary>
    [Fact]
    public void AnySequence_KeepsOneIncarnationAlive()
    {
        Prop.ForAll(
            Gen.Choose(0, 1_000_000).ArrayOf().ToArbitrary(),
            choices =>
            {
                var child = new MachineBench(Plan() with { Restart = RestartPolicy.Always });
                var live = false;
                foreach (var choice in choices)
                {
                    child.After((uint)choice % 5);
                    var n = child.State.Incarnation;
                    ChildEvent next = ((uint)choice % 11) switch
                    {
                        0 => new ChildEvent.Start(),
                        1 => new ChildEvent.Stop(),
                        2 => new ChildEvent.Restart(),
                        3 => new ChildEvent.Hurry(),
                        4 => new ChildEvent.Exited(n, choice & 1, null),
                        5 => new ChildEvent.Counted(n, []),
                        6 => new ChildEvent.Counted(n, [MachineBench.Other(9)]),
                        7 => new ChildEvent.Spawned(n, new ProcessIdentity(100 + n, n)),
                        8 => new ChildEvent.Reload("changed"),
                        9 => new ChildEvent.Hold(ProcessState.Blocked, "held"),
                        _ => new ChildEvent.Tick(),
                    };
                    foreach (var action in child.Do(next))
                    {
                        if (action is ChildAction.Reap)
                        {
                            live = false;
                        }
                        else if (action is ChildAction.Spawn && live)
                        {
                            return false;
                        }
                    }

                    live = live || (next is ChildEvent.Spawned && child.State.Phase is Phase.Alive or Phase.Ending);
                    if (child.State.Phase is (Phase.Alive or Phase.Ending) != live)
                    {
                        return false;
                    }
                }

                return true;
            }).QuickCheckThrowOnFailure();
    }

    private static ProcessPlan Plan() => MachineBench.Plan();
}
