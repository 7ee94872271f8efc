using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

public sealed class TerminalTests
{
    private const string Reads = "echo \"me=$$\"; read line; echo \"read=$line\"; exec sleep $0";

    [Fact(Timeout = 240_000)]
    public async Task Terminal_IsTheChilds_ThenOursAgain()
    {
        using var terminal = new PseudoTerminal();
        await using var project = new SupervisedProject(300, guarded: true, ("main", Reads)) { Terminal = true };
        project.Launch(terminal);
        await IsUp(terminal);
        var child = Pid(terminal);
        await Deadline.Until(() => terminal.Foreground == child, "the child's group has the terminal");
        terminal.Type("hello\n");
        await Deadline.Until(() => terminal.Screen.Contains("read=hello", StringComparison.Ordinal), "keys reach the child");

        terminal.Type("\u001a"); // Ctrl-Z: nobody above us could ever continue us, so the child just goes on
        terminal.Type("\u0003"); // Ctrl-C: for the child alone
        await Deadline.Until(() => NastyChildren.Survivors(project.Mark).IsEmpty, "the child has ended by Ctrl-C");
        await Deadline.Until(() => terminal.Foreground == project.Loom.Pid, "loom has its terminal back");
        project.Loom.Exited.IsCompleted.ShouldBeFalse();
        project.Loom.Signal(15);
        (await project.Loom.Exited).Code.ShouldBe(0, terminal.Screen);
    }

    [Fact(Timeout = 240_000)]
    public async Task Stop_WhileTheChildHasTheTerminal_EndsItByTheLadder()
    {
        using var terminal = new PseudoTerminal();
        await using var project = new SupervisedProject(300, guarded: true, ("main", "trap '' TERM INT; echo \"me=$$\"; while :; do sleep $0; done")) { Terminal = true };
        project.Launch(terminal);
        await IsUp(terminal);
        project.Loom.Signal(15);
        (await project.Loom.Exited).Code.ShouldBe(0, terminal.Screen);
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
    }

    [Fact(Timeout = 240_000)]
    public async Task CtrlZ_UnderAShell_StopsTheWholeJob_AndForegroundGoesOn()
    {
        using var terminal = new PseudoTerminal();
        await using var project = new SupervisedProject(300, guarded: true, ("main", Reads)) { Terminal = true };
        await using var shell = Child.Start(project.Folder, terminal.Command("bash", "--norc", "--noprofile", "-i"), ("PS1", "$ "));
        terminal.Type($"{string.Join(' ', project.Command)}\n");
        await IsUp(terminal);
        await Deadline.Until(() => terminal.Foreground == Pid(terminal), "the child's group has the terminal");

        terminal.Type("\u001a");
        await Deadline.Until(() => terminal.Screen.Contains("Stopped", StringComparison.Ordinal), "the shell sees a stopped job");
        terminal.Foreground.ShouldBe(shell.Pid);
        terminal.Type("fg\n");
        await Deadline.Until(() => terminal.Foreground == Pid(terminal), "the child's group has the terminal again");
        terminal.Type("again\n");
        await Deadline.Until(() => terminal.Screen.Contains("read=again", StringComparison.Ordinal), "the child goes on");

        Signals.Send(project.State.Supervisor.Pid, 15);
        await Deadline.Until(() => NastyChildren.Survivors(project.Mark).IsEmpty, "all is ended");
        await Deadline.Until(() => terminal.Foreground == shell.Pid, "the shell has its terminal back");
    }

    [Fact(Timeout = 240_000)]
    public async Task NoTerminal_StreamsAreInherited()
    {
        await using var project = new SupervisedProject(300, guarded: true, ("main", "echo out; echo err >&2; cat; echo \"end\"; exec sleep $0")) { Terminal = true };
        await project.UpAsync();
        foreach (var word in new[] { "out\n", "err\n", "end\n" })
        {
            await Deadline.Until(() => project.Loom.Output.Contains(word, StringComparison.Ordinal), $"its words come through: {word}");
        }

        project.Loom.Signal(15);
        (await project.Loom.Exited).Code.ShouldBe(0, project.Loom.Output);
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
    }

    private static Task IsUp(PseudoTerminal terminal) => Deadline.Until(
        () => terminal.Screen.Contains("me=", StringComparison.Ordinal) && terminal.Screen.Contains("up\r\n", StringComparison.Ordinal), "loom is up and the child speaks to the terminal");

    private static int Pid(PseudoTerminal terminal)
    {
        var text = terminal.Screen;
        var at = text.IndexOf("me=", StringComparison.Ordinal) + 3;
        return int.Parse(text[at..text.IndexOf('\r', at)]);
    }
}
