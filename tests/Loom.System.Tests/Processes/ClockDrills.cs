using Loom.Processes;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>Somebody sets the clock by an hour, forward and back, while children run, wait and are ended.</summary>
public sealed class ClockDrills
{
    [Fact]
    public Task Clock_SteppedByAnHour_NeitherRestartsNorDelays() => Drill.RunAsync("clock stepped by an hour", 20, 20, atOnce: 4, once: async round =>
    {
        var clock = new SteppedClock();
        await using var bench = new DrillBench(adoptStrays: false, clock);
        var live = new ProbePlan { Check = new ProbeCheck.Exec(["true"]), Every = TimeSpan.FromMilliseconds(50), Within = TimeSpan.FromSeconds(30) };
        await bench.Supervisor.AddAsync(bench.Shell("steady", "exec sleep 600") with { Ready = live, Live = live }, default);
        await bench.Supervisor.AddAsync(bench.Shell("waits", "exit 1") with { Restart = Backoff(TimeSpan.FromMinutes(30)) }, default);
        await bench.Supervisor.AddAsync(
            bench.Shell("returns", "[ -e again ] && exec sleep 600; touch again; exit 1") with { Restart = Backoff(TimeSpan.FromMilliseconds(300)) }, default);
        await Deadline.Until(() => bench.One("steady").State == ProcessState.Ready && bench.One("waits").State == ProcessState.Backoff, "ready, and waiting");

        clock.Step(TimeSpan.FromHours(round % 2 == 0 ? 1 : -1));

        await Deadline.Until(() => bench.One("returns").State == ProcessState.Ready, "the short wait ends in time");
        (bench.One("steady").Spawns, bench.One("steady").State).ShouldBe((1, ProcessState.Ready));
        (bench.One("waits").Spawns, bench.One("waits").State).ShouldBe((1, ProcessState.Backoff));
        await bench.Supervisor.StopAsync("steady", default);
        bench.One("steady").LastExit!.Signal.ShouldBe(15); // its grace was not over at once
    });

    private static RestartPolicy Backoff(TimeSpan delay) => new() { BackoffFirst = delay, BackoffMax = delay, Jitter = 0 };

    /// <summary>A clock whose time of day can be set, as root can; what it measures and waits by goes on.</summary>
    private sealed class SteppedClock : TimeProvider
    {
        private long _offset;

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + TimeSpan.FromTicks(Interlocked.Read(ref _offset));

        internal void Step(TimeSpan by) => Interlocked.Add(ref _offset, by.Ticks);
    }
}
