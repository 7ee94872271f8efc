using Loom.Processes;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>Agents that do not want to be stopped: gone at grace and half a second, others untouched.</summary>
[Collection(Alone.Name)]
public sealed class StopDrills : IAsyncLifetime
{
    private static readonly TimeSpan s_grace = TimeSpan.FromMilliseconds(300);

    // The spec's half second where nothing else runs; beside a whole test run the machine, not the ladder, decides.
    private static readonly TimeSpan s_slack = TimeSpan.FromMilliseconds(Drill.Count(30_000, 500));

    private readonly DrillBench _bench = new(adoptStrays: true);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Fact]
    public Task Agent_ThatIgnoresTerm() => Gone("agent ignores TERM", 1, "trap '' TERM; while :; do sleep $0; done");

    [Fact]
    public Task Agent_ThatDoubleForks() => Gone("agent double-forks", 3, "( ( trap '' TERM; sleep $0; : ) & ); exec sleep $0");

    [Fact]
    public Task Agent_ThatCallsSetsid() => Gone("agent calls setsid", 4, "(setsid sh -c \"trap '' TERM; sleep $0; :\" $0 &); (setsid sleep $0 &); exec sleep $0");

    private async Task Gone(string name, int processes, string script)
    {
        await _bench.Supervisor.AddAsync(_bench.Shell("neighbour", "exec sleep 600"), default);
        await Drill.RunAsync(name, 5, 50, async round =>
        {
            var mark = NastyChildren.NewMark();
            await _bench.Supervisor.AddAsync(_bench.Shell($"nasty-{round}", script, mark) with { Grace = s_grace }, default);
            await Deadline.Until(() => NastyChildren.Survivors(mark).Length >= processes, "all have started");
            var start = TimeProvider.System.GetTimestamp();
            await _bench.Supervisor.StopAsync($"nasty-{round}", default);
            TimeProvider.System.GetElapsedTime(start).ShouldBeLessThan(s_grace + s_slack);
            NastyChildren.Survivors(mark).ShouldBeEmpty();
            await _bench.Supervisor.RemoveAsync($"nasty-{round}", default);
        });
        _bench.One("neighbour").LastExit.ShouldBeNull();
    }
}
