using Loom.Processes;
using Loom.Processes.Supervision;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Processes;

public sealed class StopAndLimitTests
{
    private static readonly ProcessPlan s_asked = MachineBench.Plan() with { StopCommand = ["bye"], StopSignal = 2, Grace = TimeSpan.FromSeconds(3) };

    [Fact]
    public void Stop_WithACommand_RunsItFirstAndSignalsWhenItHasEnded()
    {
        var child = new MachineBench(s_asked).Up();
        child.Do(new ChildEvent.Stop()).ShouldBe([new ChildAction.CancelProbe(), new ChildAction.Ask(1)]);
        child.State.Deadline.ShouldBe(child.Start + TimeSpan.FromSeconds(3));
        child.Do(new ChildEvent.Asked(1)).ShouldBe([new ChildAction.Signal(1, 2)]);
        child.Do(new ChildEvent.Asked(1)).ShouldBeEmpty();
    }

    [Fact]
    public void Stop_CommandTakesTheWholeGrace_IsCutShortByKill()
    {
        var child = new MachineBench(s_asked).Up();
        child.Do(new ChildEvent.Stop());
        child.At(3).Do(new ChildEvent.Tick()).ShouldBe([new ChildAction.CancelProbe(), new ChildAction.Signal(1, 9)]);
        child.Do(new ChildEvent.Asked(1)).ShouldBeEmpty();
    }

    [Fact]
    public void Stop_CommandEndsTheLeader_TheRestGetsTheSignal()
    {
        var child = new MachineBench(s_asked).Up();
        child.Do(new ChildEvent.Stop());
        child.Do(new ChildEvent.Exited(1, 0, null)).ShouldBe([new ChildAction.CancelProbe(), new ChildAction.Signal(1, 2)]);
        child.Do(new ChildEvent.Counted(1, [])).ShouldBe([new ChildAction.Reap(1)]);
        child.Shown.ShouldBe(ProcessState.Stopped);
    }

    [Fact]
    public void Hurry_DuringTheCommand_Kills()
    {
        var child = new MachineBench(s_asked).Up();
        child.Do(new ChildEvent.Stop());
        child.Do(new ChildEvent.Hurry()).ShouldBe([new ChildAction.CancelProbe(), new ChildAction.Signal(1, 9)]);
    }

    [Fact]
    public void Memory_OverItsLimit_IsACrashThatSaysSo()
    {
        var child = new MachineBench(MachineBench.Plan() with { Limits = new ProcessLimits(MemoryBytes: 100 << 20) }).Up();
        child.Do(new ChildEvent.OverMemory(1, 150 << 20)).ShouldBe([new ChildAction.CancelProbe(), new ChildAction.Signal(1, 15)]);
        child.Do(new ChildEvent.Exited(1, null, 15));
        child.Do(new ChildEvent.Counted(1, []));
        child.Shown.ShouldBe(ProcessState.Backoff);
        child.State.Reason!.ShouldStartWith("memory limit: 150.0 MiB used, 100.0 MiB allowed; restart 1");
    }

    [Fact]
    public void Memory_KilledByTheKernelForIt_SaysSo()
    {
        var child = new MachineBench(MachineBench.Plan() with { Limits = new ProcessLimits(MemoryBytes: 100 << 20) }).Up();
        child.At(2).Do(new ChildEvent.Exited(1, null, 9, OutOfMemory: true));
        child.State.Reason.ShouldBe("memory limit: more than 100.0 MiB wanted, killed by the kernel after 2.0 s");
    }
}
