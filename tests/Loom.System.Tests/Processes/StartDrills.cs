using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>Kills that do not wait for the start to be over.</summary>
public sealed class StartDrills
{
    private const int Grace = 300;

    /// <summary>
    /// Nothing is up yet, half is up, all is up: a kill finds every state of the start, also that of a guardian that has not read a line. Without the children
    /// that clear their environment: in their first second they are the stated limit of a guardian without cgroups.
    /// </summary>
    [Fact]
    public Task KillOfLoom_AtAnyMomentOfTheStart_NoneSurvives() =>
        Drill.RunAsync("kill -9 of loom while it starts", 8, 20, atOnce: 4, once: async round =>
        {
            await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds.Where(k => k.Name != "clean-environment"));
            project.Launch();
            await Moment(project, round);
            project.Loom.Signal(9);
            await project.Loom.Exited;
            await Deadline.Until(() => KillDrills.GuardianOf(project) is null, "the guardian has done its work");
            NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
        });

    /// <summary>Waits for a state of the start that differs from round to round: the first file, the first child, so many children.</summary>
    private static Task Moment(SupervisedProject project, int round) => Deadline.Until(
        () => project.Loom.Exited.IsCompleted || round switch
        {
            0 or > 12 => Directory.Exists(project.Directory.Path),
            1 => File.Exists(project.Directory.State),
            2 => File.Exists(project.Directory.Socket),
            _ => NastyChildren.Survivors(project.Mark).Length >= Math.Min(round - 2, 4),
        },
        "that moment");
}
