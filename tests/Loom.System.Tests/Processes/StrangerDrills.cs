using Loom.Agents.Project;
using Loom.Processes;
using Loom.Processes.Guarding;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>State files that name a process which is somebody else's by now: nobody is signalled on the strength of a pid.</summary>
public sealed class StrangerDrills
{
    [Fact]
    public Task Pid_ReusedByAStranger_IsLeftAlone() => Stranger("pid reused by a stranger", 100, 100, (round, identity) =>
        State(RunState.CurrentBoot(), identity with { StartTicks = identity.StartTicks - 1 - round }));

    [Fact]
    public Task State_OfAnotherBoot_IsLeftAlone() => Stranger("state file of another boot", 10, 10, (_, identity) => State("another-boot", identity));

    private static async Task Stranger(string name, int brief, int full, Func<int, ProcessIdentity, RunState> state)
    {
        using var folder = new TempFolder();
        await using var stranger = Child.Start(folder.Path, ["sleep", "600"]);
        var identity = ProcessIdentities.Of(stranger.Pid)!.Value;
        var directory = RunDirectory.Prepare(folder.Path);
        await Drill.RunAsync(name, brief, full, async round =>
        {
            state(round, identity).Write(directory.State);
            var down = await new Down(directory, TimeProvider.System, NullLogger.Instance).RunAsync(TimeSpan.FromSeconds(Drill.Count(60, 5)), force: false, default);
            down.Survivors.ShouldBeEmpty();
            Leftovers.IsAlive(identity).ShouldBeTrue();
            File.Exists(directory.State).ShouldBeFalse();
        });
        stranger.Exited.IsCompleted.ShouldBeFalse();
    }

    private static RunState State(string boot, ProcessIdentity child) => new()
    {
        RunId = Guid.NewGuid().ToString("N"),
        BootId = boot,
        Mode = "full",
        StartedAt = default,
        LoomVersion = "test",
        Supervisor = new ProcessRef(child.Pid, child.StartTicks),
        Guardian = new ProcessRef(child.Pid, child.StartTicks),
        Socket = "none",
        Strays = [new ProcessRef(child.Pid, child.StartTicks)],
        Processes =
        [
            new ProcessRecord { Name = "a", Kind = "agent", State = "ready", Pid = child.Pid, StartTicks = child.StartTicks, Pgid = child.Pid, Log = "a", Err = "a" },
        ],
    };
}
