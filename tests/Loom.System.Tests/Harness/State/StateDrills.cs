using Loom.Components;
using Loom.Harness.Execution;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.State;

/// <summary>The drills of section 17 that take the checkpoint store away, restart it or fill it while events flow.</summary>
public sealed class StateDrills
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(200);

    [Fact]
    public async Task Store_AwayWhileEventsFlow_FlowGoesOnFailuresAreToldAndItHealsByItself()
    {
        var span = TimeSpan.FromMilliseconds(Drill.Count(1500, 60_000));
        await using var drill = await Setting.StartAsync();
        var before = await RateAsync(drill.Count, span / 4);

        await drill.Redis.KillAsync();
        var (failed, struck) = (drill.Checkpoints.Failed, TimeProvider.System.GetTimestamp());
        await Deadline.Until(() => drill.Checkpoints.LastError is not null, "the failure is told");
        var told = TimeProvider.System.GetElapsedTime(struck);
        drill.Checkpoints.LastError.ShouldNotBeNull().ShouldContain("Redis");
        var away = await RateAsync(drill.Count, span);
        await Deadline.Until(() => drill.Checkpoints.Failed >= failed + 2, "two checkpoints have failed and been told");

        var taken = drill.Checkpoints.Taken;
        await drill.Redis.StartAgainAsync();
        await Deadline.Until(() => drill.Checkpoints.Taken >= taken + 2, "checkpoints are taken again without help");
        await drill.EndAsync();
        Drill.Report(
            "checkpoint store away", 1, 1,
            $"{span.TotalSeconds:0.#} s: {before:0} items/s before, {away:0} while away, ratio {away / before:0.00}; {drill.Checkpoints.Failed} checkpoints failed, told after {told.TotalSeconds:0.0} s; 0 restarts, 0 lost");
        // Two short looks at the speed of a machine that others use tell little of their ratio, but not that nothing flowed.
        (away / before).ShouldBeGreaterThan(Drill.Full ? 0.2 : 0.01, "the flow does not wait for the store");
    }

    [Fact]
    public async Task Store_RestartedUnderLoad_EveryTimeItGoesOnAndNothingIsLost()
    {
        await using var drill = await Setting.StartAsync();
        await Drill.RunAsync("redis restarted under load, for checkpoints", 3, 20, async _ =>
        {
            await drill.Redis.KillAsync();
            var (failed, seen) = (drill.Checkpoints.Failed, drill.Count.Seen);
            await Deadline.Until(() => drill.Checkpoints.Failed > failed, "it is missed");
            await drill.Redis.StartAgainAsync();
            var taken = drill.Checkpoints.Taken;
            await Deadline.Until(() => drill.Checkpoints.Taken > taken, "a checkpoint is stored again");
            drill.Count.Seen.ShouldBeGreaterThan(seen, "events went on flowing");
        });
        await drill.EndAsync();
    }

    [Fact]
    public async Task Store_Full_CheckpointsFailUntilThereIsRoomAgain()
    {
        await using var drill = await Setting.StartAsync();
        await drill.Redis.CommandAsync("config set maxmemory 1");
        var failed = drill.Checkpoints.Failed;
        await Deadline.Until(() => drill.Checkpoints.Failed >= failed + 2, "checkpoints fail");
        await Deadline.Until(() => drill.Checkpoints.LastError?.Contains("OOM", StringComparison.Ordinal) == true, "why they fail is told");
        var (seen, taken) = (drill.Count.Seen, drill.Checkpoints.Taken);
        await Deadline.Until(() => drill.Count.Seen > seen, "events go on flowing");
        await drill.Redis.CommandAsync("config set maxmemory 0");
        await Deadline.Until(() => drill.Checkpoints.Taken >= taken + 2, "checkpoints are taken again without help");
        await drill.EndAsync();
        Drill.Report("checkpoint store full", 1, 1, $"{drill.Checkpoints.Failed} checkpoints failed, {drill.Checkpoints.Taken} taken, 0 lost");
    }

    private static async Task<double> RateAsync(Count count, TimeSpan span)
    {
        var (start, seen) = (TimeProvider.System.GetTimestamp(), count.Seen);
        await Task.Delay(span);
        return (count.Seen - seen) / TimeProvider.System.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Events that flow from a source to a sink, and a Redis that keeps their checkpoints.</summary>
    private sealed class Setting : IAsyncDisposable
    {
        private readonly TempFolder _folder = new();
        private readonly CancellationTokenSource _stop = new();
        private CodedRun _run = null!;
        private Task<RunResult> _running = null!;

        public required RedisServer Redis { get; init; }

        public Count Count { get; } = new();

        public CheckpointsSnapshot Checkpoints => _run.Checkpoints;

        private CodedSurroundings Around => new() { Folder = _folder.Path, State = CodedSurroundings.Adapter("redis_snapshot", Redis.Url), Interval = s_interval };

        private HarnessBuilder Builder => new HarnessBuilder("drill").Add("numbers", () => new Numbers()).Add("count", () => Count).Bind("numbers.out", "count.in");

        public static async Task<Setting> StartAsync()
        {
            var drill = new Setting { Redis = await RedisServer.StartAsync() };
            drill._run = await CodedRun.LoadAsync(drill.Builder, drill.Around);
            drill._running = drill._run.RunAsync(drill._stop.Token);
            await Deadline.Until(() => drill.Checkpoints.Taken >= 3, "three checkpoints");
            return drill;
        }

        /// <summary>An orderly end; what is stored then is the state at the end, nothing more and nothing less.</summary>
        public async Task EndAsync()
        {
            await _stop.CancelAsync();
            (await _running).ExitCode.ShouldBe(RunResult.Ended);
            _run.Checkpoints.LastError.ShouldBeNull();
            _run.Assembly.Run.Hosts.ShouldAllBe(h => h.Restarts == 0);
            await using var next = await CodedRun.LoadAsync(Builder, Around);
            next.State!.Resumed.ShouldNotBeNull().OffsetsOf("numbers")["0"].ShouldBe(Count.Seen);
        }

        public async ValueTask DisposeAsync()
        {
            await _stop.CancelAsync();
            await _running;
            await _run.DisposeAsync();
            await Redis.DisposeAsync();
            _stop.Dispose();
            _folder.Dispose();
        }
    }

    [Component("drill.numbers", Type = ComponentType.Source, Replayable = true)]
    private sealed class Numbers : Source<long>
    {
        private long _next;

        protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
        {
            _next = next.GetValueOrDefault("0");
            return default;
        }

        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct) => new(Read<long>.Item(_next, _next, ++_next));
    }

    [Component("drill.count", Type = ComponentType.Sink)]
    private sealed class Count : Sink<long>
    {
        private long _seen;

        public long Seen => Volatile.Read(ref _seen);

        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            Volatile.Write(ref _seen, _seen + 1);
            return default;
        }
    }
}
