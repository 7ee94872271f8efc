using Loom.Processes.Spawning;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

public sealed class SpawnerTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // A pipe holds 64 KiB, of a user with many of them a page or two: what does not fit must not be waited for, since nobody reads yet.
    [Fact(Timeout = 240_000)]
    public async Task Spawn_FirstInputLargerThanThePipe_TakesWhatFits()
    {
        var first = new byte[200_000];
        first.AsSpan().Fill((byte)'x');
        using var child = await Task.Run(() => Spawner.Spawn(Request("cat") with { PipeInput = true, FirstInput = first, OutputFile = _folder["copy"] }));
        child.InputTaken.ShouldBeInRange(1, 65_536);
        child.Input!.Dispose();
        Children.ReapBlocking(child.Pid);
        new FileInfo(_folder["copy"]).Length.ShouldBe(child.InputTaken);
    }

    [Fact(Timeout = 240_000)]
    public async Task PeekExit_ReapedBySomebodyElse_IsEndedNobodyKnowsHow()
    {
        using var child = await Task.Run(() => Spawner.Spawn(Request("true")));
        Children.ReapBlocking(child.Pid);
        Children.PeekExit((int)child.Exit.DangerousGetHandle()).ShouldBe((null, null));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(null)]
    [InlineData(100)]
    public async Task Spawn_ScriptWhoseInterpreterIsMissing_IsRefusedForGood(int? openFiles)
    {
        await File.WriteAllTextAsync(_folder["script"], "#! /nowhere/python9 -u\nprint(1)\n");
        File.SetUnixFileMode(_folder["script"], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

        var refused = Should.Throw<SpawnException>(() => Spawner.Spawn(Request(_folder["script"]) with { OpenFiles = openFiles }));

        refused.Permanent.ShouldBeTrue();
        refused.Message.ShouldContain("the interpreter in its first line");
    }

    private SpawnRequest Request(string command) => new()
    {
        Command = [command],
        WorkingDirectory = _folder.Path,
        Environment = new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH")! },
        PipeOutput = false,
    };
}
