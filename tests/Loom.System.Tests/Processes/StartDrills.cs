using Loom.Agents.Project;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>Kills and signals that do not wait for the start to be over.</summary>
public sealed class StartDrills
{
    private const int Grace = 300;

    /// <summary>
    /// Nothing is up yet, half is up, all is up: a kill finds every state of the start, also that of a guardian that has not read a line. Without the children
    /// that clear their environment: in their first second they are the stated limit of a guardian without cgroups.
    /// </summary>
    [Fact(Timeout = 120_000)]
    public async Task KillOfLoom_AtAnyMomentOfTheStart_NoneSurvives() =>
        await Parallel.ForAsync(0, 12, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (round, _) =>
        {
            await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds.Where(k => k.Name != "clean-environment"));
            project.Launch();
            await Moment(project, round);
            project.Loom.Signal(9);
            await project.Loom.Exited;
            await Deadline.Until(() => KillDrills.GuardianOf(project) is null, "the guardian has done its work");
            NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
        });

    [Theory(Timeout = 120_000)]
    [InlineData(15, 1)]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    public async Task Signal_AtAnyMomentOfTheStart_NoneSurvivesAndTheNextStartIsClean(int signal, int times) =>
        await Parallel.ForAsync(0, 6, new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (round, _) =>
        {
            await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds.Take(4));
            project.Launch();
            await Moment(project, round);
            for (var i = 0; i < times; i++)
            {
                project.Loom.Signal(signal);
            }

            var (code, by) = await project.Loom.Exited;
            (by == signal || code is 0 or 130 or 143).ShouldBeTrue($"code {code}, signal {by}: {project.Loom.Output}");
            await Deadline.Until(() => KillDrills.GuardianOf(project) is null, "the guardian has gone");
            NastyChildren.Survivors(project.Mark).ShouldBeEmpty();

            await using var next = await ProjectRun.StartAsync(
                new ProjectRunOptions { ProjectFolder = project.Folder, Executable = null, LoomVersion = "test", AdoptStrays = false }, default);
            next.ShouldNotBeNull();
        });

    /// <summary>Waits for a state of the start that differs from round to round: the first file, the first child, so many children.</summary>
    private static Task Moment(SupervisedProject project, int round) => Deadline.Until(
        () => project.Loom.Exited.IsCompleted || round switch
        {
            0 => Directory.Exists(project.Directory.Path),
            1 => File.Exists(project.Directory.State),
            2 => File.Exists(project.Directory.Socket),
            _ => NastyChildren.Survivors(project.Mark).Length >= Math.Min(round - 2, 4),
        },
        "that moment");
}
