using Loom.Agents.Project;
using Loom.Processes.Guarding;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>The drills of the agents' spec, section 15: whatever is killed by -9, nothing survives. Rounds run side by side: the machine is busy in life, too.</summary>
public sealed class KillDrills
{
    private const int Grace = 300;

    // The spec's grace + 2 s, and slack for a busy machine: what these drills count is survivors, not seconds.
    private static readonly TimeSpan s_within = TimeSpan.FromMilliseconds(Grace) + TimeSpan.FromSeconds(2) + TimeSpan.FromSeconds(6);

    [Fact(Timeout = 120_000)]
    public Task KillOfLoom_TenKindsOfChildren_NoneSurvives() => Rounds(20, async project =>
    {
        project.Loom.Signal(9);
        await project.Loom.Exited;
        await project.GoneAsync(s_within);
    });

    [Fact(Timeout = 120_000)]
    public Task KillOfGuardianThenOfLoom_ASecondGuardianHasTakenOver_NoneSurvives() => Rounds(8, async project =>
    {
        var first = project.State.Guardian!;
        Signals.Send(first.Pid, 9);
        await Deadline.Until(() => GuardianOf(project) is { } second && second != first.Pid, "a second guardian", TimeSpan.FromSeconds(5));
        project.Loom.Signal(9);
        await project.Loom.Exited;
        await project.GoneAsync(s_within);
    });

    [Fact(Timeout = 120_000)]
    public Task KillOfBothThenDown_NoneSurvivesAndTheFilesAreGone() => Rounds(8, async project =>
    {
        Signals.Send(project.State.Guardian!.Pid, 19); // stopped, it cannot act before it is killed
        project.Loom.Signal(9);
        await project.Loom.Exited;
        Signals.Send(project.State.Guardian!.Pid, 9);
        NastyChildren.Survivors(project.Mark).ShouldNotBeEmpty();

        var result = await new Down(project.Directory, TimeProvider.System, NullLogger.Instance).RunAsync(TimeSpan.FromSeconds(10), force: false, default);

        result.WasRunning.ShouldBeTrue();
        result.Survivors.ShouldBeEmpty();
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
        File.Exists(project.Directory.State).ShouldBeFalse();
    });

    [Fact(Timeout = 60_000)]
    public async Task Down_OfARunningProject_StopsItAndASecondDownHasNothingToDo()
    {
        await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds);
        await project.UpAsync();
        var down = new Down(project.Directory, TimeProvider.System, NullLogger.Instance);
        var both = await Task.WhenAll(down.RunAsync(TimeSpan.FromSeconds(10), force: false, default), down.RunAsync(TimeSpan.FromSeconds(10), force: false, default));
        both.ShouldAllBe(r => r.Survivors.IsEmpty);
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
        (await project.Loom.Exited).Code.ShouldBe(0);
        (await down.RunAsync(TimeSpan.FromSeconds(10), force: false, default)).WasRunning.ShouldBeFalse();
    }

    [Fact(Timeout = 60_000)]
    public async Task NextStart_AfterBothWereKilled_EndsTheSurvivorsFirst()
    {
        await using var project = new SupervisedProject(Grace, guarded: false, NastyChildren.Kinds);
        await project.UpAsync();
        await Task.Delay(TimeSpan.FromSeconds(2)); // the drill's own condition: the children's age
        project.Loom.Signal(9);
        await project.Loom.Exited;
        NastyChildren.Survivors(project.Mark).ShouldNotBeEmpty();

        await using var next = await ProjectRun.StartAsync(
            new ProjectRunOptions { ProjectFolder = project.Folder, Executable = null, LoomVersion = "test", AdoptStrays = false }, default);

        next.ShouldNotBeNull();
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
    }

    [Fact(Timeout = 60_000)]
    public async Task Term_EndsEverythingInOrderAndLeavesNoGuardian()
    {
        await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds);
        await project.UpAsync();
        var guardian = project.State.Guardian!;
        project.Loom.Signal(15);
        (await project.Loom.Exited).Code.ShouldBe(0, project.Loom.Output);
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
        Leftovers.IsAlive(guardian.Identity).ShouldBeFalse();
        File.Exists(project.Directory.State).ShouldBeFalse();
    }

    internal static int? GuardianOf(SupervisedProject project)
    {
        // The state file follows at the next change of a child; the kernel knows at once.
        foreach (var folder in System.IO.Directory.EnumerateDirectories("/proc"))
        {
            try
            {
                if (int.TryParse(Path.GetFileName(folder), out var pid)
                    && File.ReadAllText($"{folder}/cmdline").Contains($"guardian\0--lock\0{project.Directory.GuardianLock}", StringComparison.Ordinal))
                {
                    return pid;
                }
            }
            catch (IOException)
            {
            }
        }

        return null;
    }

    /// <summary>Runs a drill so many times, four at once, each with all ten kinds of children at least two seconds old.</summary>
    private static async Task Rounds(int count, Func<SupervisedProject, Task> drill) =>
        await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (_, _) =>
        {
            await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds);
            await project.UpAsync();
            await Task.Delay(TimeSpan.FromSeconds(2)); // the drill's own condition: the children's age, not a wait for something
            NastyChildren.Survivors(project.Mark).Length.ShouldBeGreaterThan(12, "the drill is about nothing");
            await drill(project);
        });
}
