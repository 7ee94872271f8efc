using Loom.Agents.Project;
using Loom.Processes.Guarding;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>The drills of the agents' spec, section 15: whatever is killed by -9, nothing survives.</summary>
public sealed class KillDrills
{
    private const int Grace = 300;

    // The spec's grace + 2 s where nothing else runs; beside a whole test run what counts is survivors, not seconds.
    private static readonly TimeSpan s_within = TimeSpan.FromMilliseconds(Grace) + TimeSpan.FromSeconds(Drill.Count(30, 2));

    // The limit of a guardian without cgroups is two seconds; beside a whole test run the look that is to come in them comes later.
    private static readonly TimeSpan s_age = TimeSpan.FromSeconds(Drill.Count(8, 2));

    private static readonly TimeSpan s_down = TimeSpan.FromSeconds(Drill.Count(60, 10));

    [Fact]
    public Task KillOfLoom_AHundredChildrenOfTenKinds_NoneSurvives() => Drill.RunAsync("kill -9 of loom, 100 children", 2, 20, async _ =>
    {
        await using var project = await Aged(Enumerable.Range(0, 10).SelectMany(i => NastyChildren.Kinds.Select(k => ($"{k.Name}-{i}", k.Script))), processes: 120);
        project.Loom.Signal(9);
        await project.Loom.Exited;
        await project.GoneAsync(s_within);
    });

    [Fact]
    public Task KillOfGuardianThenOfLoom_ASecondGuardianHasTakenOver_NoneSurvives() => Rounds("kill -9 of the guardian, then of loom", 4, 20, async project =>
    {
        var first = project.State.Guardian!;
        Signals.Send(first.Pid, 9);
        await Deadline.Until(() => GuardianOf(project) is { } second && second != first.Pid, "a second guardian");
        project.Loom.Signal(9);
        await project.Loom.Exited;
        await project.GoneAsync(s_within);
    });

    [Fact]
    public Task KillOfBothThenDown_NoneSurvivesAndTheFilesAreGone() => Rounds("kill -9 of both, then down", 4, 10, async project =>
    {
        Signals.Send(project.State.Guardian!.Pid, 19); // stopped, it cannot act before it is killed
        project.Loom.Signal(9);
        await project.Loom.Exited;
        Signals.Send(project.State.Guardian!.Pid, 9);
        NastyChildren.Survivors(project.Mark).ShouldNotBeEmpty();

        var result = await new Down(project.Directory, TimeProvider.System, NullLogger.Instance).RunAsync(s_down, force: false, default);

        result.WasRunning.ShouldBeTrue();
        result.Survivors.ShouldBeEmpty();
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
        File.Exists(project.Directory.State).ShouldBeFalse();
    });

    // With a cgroup nobody has to be two seconds old to be found, whatever he did to his environment, parents and session.
    [Fact]
    public async Task KillOfLoom_WithCgroups_TheYoungestAndBestHiddenEndToo()
    {
        Assert.SkipUnless(Loom.Processes.CgroupSupport.Look() is { Trouble: null }, "no writable cgroup v2 here");
        await Drill.RunAsync("kill -9 of loom with cgroups, at once", 3, 20, async _ =>
        {
            await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds) { Cgroup = true };
            await project.UpAsync();
            var groups = Path.GetDirectoryName(project.State.Processes[0].Cgroup)!;
            project.Loom.Signal(9);
            await project.Loom.Exited;
            await project.GoneAsync(s_within);
            await Deadline.Until(() => !Directory.Exists(groups), "the guardian has removed the groups");
        });
    }

    [Fact(Timeout = 300_000)]
    public async Task Down_OfARunningProject_StopsItAndASecondDownHasNothingToDo()
    {
        await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds);
        await project.UpAsync();
        var down = new Down(project.Directory, TimeProvider.System, NullLogger.Instance);
        var both = await Task.WhenAll(down.RunAsync(s_down, force: false, default), down.RunAsync(s_down, force: false, default));
        both.ShouldAllBe(r => r.Survivors.IsEmpty);
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
        (await project.Loom.Exited).Code.ShouldBe(0);
        (await down.RunAsync(s_down, force: false, default)).WasRunning.ShouldBeFalse();
    }

    [Fact(Timeout = 300_000)]
    public async Task NextStart_AfterBothWereKilled_EndsTheSurvivorsFirst()
    {
        await using var project = new SupervisedProject(Grace, guarded: false, NastyChildren.Kinds);
        await project.UpAsync();
        await Task.Delay(s_age); // the drill's own condition: the children's age
        project.Loom.Signal(9);
        await project.Loom.Exited;
        NastyChildren.Survivors(project.Mark).ShouldNotBeEmpty();

        await using var next = await ProjectRun.StartAsync(
            new ProjectRunOptions { ProjectFolder = project.Folder, Executable = null, LoomVersion = "test", AdoptStrays = false }, default);

        next.ShouldNotBeNull();
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
    }

    [Fact(Timeout = 300_000)]
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

    /// <summary>A running project of more than so many processes, all at least two seconds old.</summary>
    private static async Task<SupervisedProject> Aged(IEnumerable<(string Name, string Script)> children, int processes)
    {
        var project = new SupervisedProject(Grace, guarded: true, children);
        try
        {
            await project.UpAsync();
            await Deadline.Until(() => NastyChildren.Survivors(project.Mark).Length > processes, $"more than {processes} processes, or the drill is about nothing");
            await Task.Delay(s_age); // the drill's own condition: the children's age, not a wait for something
            return project;
        }
        catch
        {
            await project.DisposeAsync();
            throw;
        }
    }

    /// <summary>Runs a drill four at once, with a child of each kind: the machine is busy in life, too.</summary>
    private static Task Rounds(string name, int brief, int full, Func<SupervisedProject, Task> drill) => Drill.RunAsync(name, brief, full, atOnce: 4, once: async _ =>
    {
        await using var project = await Aged(NastyChildren.Kinds, processes: 12);
        await drill(project);
    });
}
