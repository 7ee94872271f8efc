using Loom.Components;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Execution;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>A rate limiter in front of a source that is much faster: it lets the rate through and the burst, throws nothing, and the source's stream backs up.</summary>
public sealed class RateLimiterDrills
{
    private const int Rate = 1_000;
    private const int Burst = 200;
    private const int Seconds = 10;

    // A token is worth a tick of the clock; the limiter may ask for the next one a few ticks later.
    private const int Late = 20;

    [Fact]
    public async Task ThousandASecond_ForTenSeconds_AdmitsThatAndTheBurst()
    {
        var time = new ManualTimeProvider();
        var limiter = HarnessBuilder.Capability(StandardCapability.RateLimiter, new RateLimiterSettings { Rate = Rate, Burst = Burst });
        var builder = new HarnessBuilder("rate")
            .Add("from", () => new From())
            .Add("into", () => new Into(), p => p with { Capabilities = [limiter] })
            .Bind("from.out", "into.in");
        await using var run = await CodedRun.LoadAsync(builder, new CodedSurroundings { Time = time });
        using var stop = new CancellationTokenSource();
        var running = run.RunAsync(force: stop.Token);
        var into = run.CountersOf("into");
        var stream = run.Assembly.Run.Streams[0];
        await Deadline.Until(() => into.Done == Burst, "the burst passes at once");
        var blocked = new List<TimeSpan>();
        for (var ms = 1; ms <= Seconds * 1000; ms++)
        {
            time.Advance(TimeSpan.FromMilliseconds(1));
            // What the clock lets through is on its way; it is waited for before the clock goes on, since a bucket that is full takes no more.
            await Deadline.Until(() => into.Done >= Burst + ms - Late, $"what {ms} ms let through");
            if (ms % 1000 == 0)
            {
                blocked.Add(stream.Snapshot().Blocked);
            }
        }

        var admitted = into.Done;
        await stop.CancelAsync();
        await running;
        Drill.Report("rate limiter", 1, 1, $"{admitted - Burst} in {Seconds} s at {Rate}/s, and the burst of {Burst}; upstream blocked {blocked[^1].TotalSeconds:0.0} s");
        (admitted - Burst).ShouldBeInRange((long)(Rate * Seconds * 0.99), (long)(Rate * Seconds * 1.01));
        run.Failures.ShouldBeEmpty();
        blocked.ShouldBe(blocked.Order().Distinct(), "blocked time rises every second");
        blocked[^1].ShouldBeGreaterThan(TimeSpan.FromSeconds(Seconds - 2));
    }

    [Component("rate.from", Type = ComponentType.Source, Replayable = true)]
    private sealed class From : Source<long>
    {
        private long _next;

        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct) => new(Read<long>.Item(_next, _next, ++_next));
    }

    [Component("rate.into", Type = ComponentType.Sink)]
    private sealed class Into : Sink<long>
    {
        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct) => default;
    }
}
