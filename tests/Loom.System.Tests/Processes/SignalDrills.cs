using Loom.Agents.Project;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>TERM, HUP, a closed terminal, Ctrl-C twice, at random moments of start and stop: nothing survives, the exit code says what happened, the next start is clean.</summary>
public sealed class SignalDrills
{
    private const int Grace = 300;
    private const int Term = 15;
    private const int Hangup = 1;
    private const int Interrupt = 2;

    [Fact]
    public Task Signals_AtRandomMomentsOfTheStart() => Drill.RunAsync("TERM, HUP, Ctrl-C twice while it starts", 9, 50, atOnce: 4, once: async round =>
    {
        var chance = new Random(round);
        await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds.Take(4));
        project.Launch();
        await Task.Delay(chance.Next(0, 1200)); // the drill's own condition: any moment
        await Hit(project, round);
        await Clean(project);
    });

    [Fact]
    public Task Signals_AtRandomMomentsOfTheStop() => Drill.RunAsync("TERM, HUP, Ctrl-C twice while it stops", 6, 30, atOnce: 4, once: async round =>
    {
        var chance = new Random(round);
        await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds.Take(4));
        await project.UpAsync();
        project.Loom.Signal(Term);
        await Task.Delay(chance.Next(0, 400)); // the drill's own condition: any moment
        await Hit(project, round);
        await Clean(project);
    });

    [Fact]
    public Task Terminal_ClosedAtARandomMoment() => Drill.RunAsync("closed terminal", 4, 20, atOnce: 4, once: async round =>
    {
        var chance = new Random(round);
        await using var project = new SupervisedProject(Grace, guarded: true, NastyChildren.Kinds.Take(4));
        using (var terminal = new PseudoTerminal())
        {
            project.Launch(terminal);
            await Deadline.Until(() => terminal.Foreground == project.Loom.Pid, "it has its terminal"); // a terminal closed earlier may be another's by now
            await Task.Delay(chance.Next(0, 2000)); // the drill's own condition: any moment
        }

        var (code, by) = await project.Loom.Exited;
        (by == Hangup || code is 0 or 129 or 143).ShouldBeTrue($"code {code}, signal {by}");
        await Clean(project);
    });

    private static async Task Hit(SupervisedProject project, int round)
    {
        var (signal, times) = (round % 3) switch { 0 => (Term, 1), 1 => (Hangup, 1), _ => (Interrupt, 2) };
        for (var i = 0; i < times; i++)
        {
            project.Loom.Signal(signal);
        }

        // Killed by it before it could listen; asked to stop before it was up; in order; at once.
        var (code, by) = await project.Loom.Exited;
        (by == signal || by == Term || code is 0 or 143 || (signal == Interrupt && code == 130)).ShouldBeTrue($"code {code}, signal {by}: {project.Loom.Output}");
    }

    private static async Task Clean(SupervisedProject project)
    {
        await Deadline.Until(() => KillDrills.GuardianOf(project) is null, "the guardian has gone");
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
        await using var next = await ProjectRun.StartAsync(
            new ProjectRunOptions { ProjectFolder = project.Folder, Executable = null, LoomVersion = "test", AdoptStrays = false }, default);
        next.ShouldNotBeNull();
    }
}
