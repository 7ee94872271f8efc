using Loom.Processes;
using Loom.Processes.Supervision;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Processes;

public sealed class HoldAndReloadTests
{
    [Theory]
    [InlineData(ProcessState.Pending)]
    [InlineData(ProcessState.Skipped)]
    [InlineData(ProcessState.Blocked)]
    public void Hold_OfARestingProcess_ShowsStateAndReason_StartEndsIt(ProcessState shown)
    {
        var child = new MachineBench(MachineBench.Plan());
        child.Do(new ChildEvent.Hold(shown, "waits for 'db'")).ShouldBeEmpty();
        child.Shown.ShouldBe(shown);
        child.State.Reason.ShouldBe("waits for 'db'");
        child.Do(new ChildEvent.Start()).ShouldBe([new ChildAction.Spawn(1)]);
    }

    [Fact]
    public void Hold_OfARunningProcess_ChangesNothing()
    {
        var child = new MachineBench(MachineBench.Plan()).Up();
        child.Do(new ChildEvent.Hold(ProcessState.Skipped, "x")).ShouldBeEmpty();
        child.Shown.ShouldBe(ProcessState.Running);
        child.State.Reason.ShouldBeNull();
    }

    [Theory]
    [InlineData(ProcessState.Pending)]
    [InlineData(ProcessState.Blocked)]
    [InlineData(ProcessState.Skipped)]
    public void Stop_OfAHeldProcess_EndsItsWaiting(ProcessState held)
    {
        var child = new MachineBench(MachineBench.Plan());
        child.Do(new ChildEvent.Hold(held, "x"));
        child.Do(new ChildEvent.Stop()).ShouldBeEmpty();
        child.Shown.ShouldBe(ProcessState.Stopped);
    }

    [Fact]
    public void Reload_StopsThenStarts_IsNotCountedAndSaysWhy()
    {
        var child = new MachineBench(MachineBench.Plan()).Up();
        child.Do(new ChildEvent.Reload("main.py changed")).ShouldBe([new ChildAction.CancelProbe(), new ChildAction.Signal(1, 15)]);
        child.State.Reason.ShouldBe("main.py changed");
        child.Do(new ChildEvent.Exited(1, null, 15));
        child.Do(new ChildEvent.Counted(1, [])).ShouldBe([new ChildAction.Reap(1), new ChildAction.Spawn(2)]);
        child.Spawned().After(1).Tick().Shown.ShouldBe(ProcessState.Ready);
        child.State.Restarts.ShouldBe(0);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(125)]
    public void Reload_NewOneDiesBeforeReady_IsBlockedAndNotTriedAgain(int code)
    {
        var child = Reloaded(MachineBench.Plan() with { Restart = RestartPolicy.Always });
        child.After(0.2);
        child.Die(code);
        child.Shown.ShouldBe(ProcessState.Blocked);
        child.State.Reason.ShouldBe($"exit {code} after 0.2 s, before it was ready; waits for the next change");
        child.State.Deadline.ShouldBeNull();
    }

    [Fact]
    public void Reload_NewOneCannotBeSpawned_IsBlocked()
    {
        var child = new MachineBench(MachineBench.Plan()).Up();
        child.Die(1);
        child.Do(new ChildEvent.Reload("changed")).ShouldBe([new ChildAction.Spawn(2)]);
        child.Do(new ChildEvent.SpawnRefused(2, "no such file", Permanent: true));
        child.Shown.ShouldBe(ProcessState.Blocked);
    }

    [Fact]
    public void Reload_NewOneIsNotReadyInTime_IsBlocked()
    {
        var ready = new ProbePlan { Check = new ProbeCheck.Exec(["true"]), Within = TimeSpan.FromSeconds(5) };
        var child = Reloaded(MachineBench.Plan() with { Ready = ready });
        child.After(5).Tick();
        child.Do(new ChildEvent.Exited(2, null, 15));
        child.Do(new ChildEvent.Counted(2, []));
        child.Shown.ShouldBe(ProcessState.Blocked);
    }

    [Fact]
    public void Reload_NewOneWasReady_DiesUnderTheRestartPolicy()
    {
        var child = Reloaded(MachineBench.Plan());
        child.After(1).Tick();
        child.Die(1);
        child.Shown.ShouldBe(ProcessState.Backoff);
    }

    [Fact]
    public void Reload_NewOneIsDoneAtOnce_IsCompleted()
    {
        var child = Reloaded(MachineBench.Plan());
        child.Die(0);
        child.Shown.ShouldBe(ProcessState.Completed);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Blocked_NextReloadTriesAgain_StartIsNoTrial(bool reload)
    {
        var child = Reloaded(MachineBench.Plan());
        child.Die(1);
        child.Do(reload ? new ChildEvent.Reload("changed") : new ChildEvent.Start()).ShouldBe([new ChildAction.Spawn(3)]);
        child.Spawned().Die(1);
        child.Shown.ShouldBe(reload ? ProcessState.Blocked : ProcessState.Backoff);
    }

    [Fact]
    public void Reload_ThenStop_StaysDown()
    {
        var child = Reloaded(MachineBench.Plan());
        child.Do(new ChildEvent.Stop());
        child.Do(new ChildEvent.Exited(2, null, 15));
        child.Do(new ChildEvent.Counted(2, []));
        child.Shown.ShouldBe(ProcessState.Stopped);
    }

    [Fact]
    public void Restart_WithAReason_ShowsIt()
    {
        var child = new MachineBench(MachineBench.Plan()).Up();
        child.Do(new ChildEvent.Restart("'db' was restarted"));
        child.State.Reason.ShouldBe("'db' was restarted");
    }

    [Fact]
    public void Note_IsShownBesideStateAndReason()
    {
        var child = new MachineBench(MachineBench.Plan()).Up();
        child.Do(new ChildEvent.Note("reload failed: line 3")).ShouldBeEmpty();
        child.State.Snapshot().ShouldBe(child.State.Snapshot() with { Note = "reload failed: line 3", State = ProcessState.Running, Reason = null });
        child.Do(new ChildEvent.Note(null));
        child.State.Snapshot().Note.ShouldBeNull();
    }

    /// <summary>A process that was ready, was reloaded, and whose second incarnation has just been spawned.</summary>
    private static MachineBench Reloaded(ProcessPlan plan)
    {
        var child = new MachineBench(plan).Up();
        child.Do(new ChildEvent.Reload("changed"));
        child.Do(new ChildEvent.Exited(1, null, 15));
        child.Do(new ChildEvent.Counted(1, []));
        return child.Spawned();
    }
}
