using Loom.Components;
using Loom.Harness.Execution;
using Loom.SystemTests.Processes;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>A tap on a stream at full speed: what it costs is printed as a ratio, the median of rounds taken in turn; copies it could not take are counted, and the stream loses none.</summary>
[Collection(Alone.Name)]
public sealed class TapDrills
{
    [Fact]
    public async Task Tap_OfAStreamAtFullSpeed_SlowsNothingAndCountsWhatItDrops()
    {
        var items = Drill.Count(1_000_000, 20_000_000);
        var (ratios, dropped, copied) = (new List<double>(), 0L, 0L);
        await RateAsync(items / 4, tapped: false);
        for (var round = 0; round < 5; round++)
        {
            var plain = await RateAsync(items, tapped: false);
            var tapped = await RateAsync(items, tapped: true);
            ratios.Add(tapped.Rate / plain.Rate);
            dropped += tapped.Dropped;
            copied += tapped.Copied;
        }

        var median = ratios.Order().ElementAt(2);
        Drill.Report("tap at full speed", 1, 1, $"throughput {median:0.00} of that without (rounds {string.Join(' ', ratios.Select(r => $"{r:0.00}"))}), {copied} copies shown, {dropped} dropped and counted, 0 lost in the stream");
        copied.ShouldBeGreaterThan(0);
        dropped.ShouldBeGreaterThan(0);
        (copied + dropped).ShouldBe(5L * items);
    }

    private static async Task<(double Rate, long Copied, long Dropped)> RateAsync(int items, bool tapped)
    {
        var into = new Into();
        var builder = new HarnessBuilder("tap").Add("from", () => new From(items)).Add("into", () => into).Bind("from.out", "into.in");
        await using var run = await CodedRun.LoadAsync(builder, new CodedSurroundings());
        using var tap = tapped ? run.Assembly.Run.Streams[0].Tap(sample: 1) : null;
        using var over = new CancellationTokenSource();
        var copied = 0L;
        var looking = tap is null ? Task.CompletedTask : Task.Run(async () =>
        {
            try
            {
                await foreach (var _ in tap.ReadAllAsync(over.Token))
                {
                    copied++;
                }
            }
            catch (OperationCanceledException)
            {
            }
        });
        var start = TimeProvider.System.GetTimestamp();
        (await run.RunAsync()).ExitCode.ShouldBe(RunResult.Ended);
        var took = TimeProvider.System.GetElapsedTime(start);
        into.Seen.ShouldBe(items);
        if (tap is not null)
        {
            await Deadline.Until(() => Volatile.Read(ref copied) + tap.Dropped == items, "every copy was shown or counted");
        }

        await over.CancelAsync();
        await looking;
        return (items / took.TotalSeconds, copied, tap?.Dropped ?? 0);
    }

    [Component("tap.from", Type = ComponentType.Source, Replayable = true)]
    private sealed class From(int items) : Source<long>
    {
        private long _next;

        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct) =>
            new(_next == items ? Read<long>.End : Read<long>.Item(_next, _next, ++_next));
    }

    private sealed class Into : Sink<long>
    {
        public long Seen { get; private set; }

        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            Seen++;
            return default;
        }
    }
}
