using Loom.Harness.Streams;

namespace Loom.Harness.Benchmarks;

/// <summary>A stream at full speed with somebody looking into it, beside the same without.</summary>
internal static class TapRow
{
    private const string Rate = "items/s";
    private const string Dropped = "copies dropped, % of events";
    private const string Plain = "no tap";
    private const string Tapped = "tapped";
    private const long Items = 4_000_000;

    public static BenchRow Row(TimeProvider time) => new FiguresRow(
        "tap",
        "one hop at full speed with a tap of every event",
        [new Subject(Tapped, ct => RunAsync(time, tapped: true, ct)), new Subject(Plain, ct => RunAsync(time, tapped: false, ct))],
        [new Limit(Tapped, Rate, 0.95, Plain, AtLeast: true)]);

    private static async Task<IReadOnlyList<Figure>> RunAsync(TimeProvider time, bool tapped, CancellationToken ct)
    {
        IStreamTap? tap = null;
        Task<long> looking = Task.FromResult(0L);
        var took = await OurSystems.RunLineAsync(Items, 1, time, null, assembly =>
        {
            if (tapped)
            {
                tap = assembly.Run.Streams[0].Tap(sample: 1);
                looking = Task.Run(() => LookAsync(tap, ct), ct);
            }
        }, ct).ConfigureAwait(false);
        tap?.Dispose();
        await looking.ConfigureAwait(false);
        return [new Figure(Rate, Items / took.TotalSeconds), new Figure(Dropped, 100.0 * (tap?.Dropped ?? 0) / Items)];
    }

    private static async Task<long> LookAsync(IStreamTap tap, CancellationToken ct)
    {
        var seen = 0L;
        await foreach (var _ in tap.ReadAllAsync(ct).ConfigureAwait(false))
        {
            seen++;
        }

        return seen;
    }
}
