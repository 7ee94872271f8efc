namespace Loom.Harness.Benchmarks;

/// <summary>One way to move items, measured beside others in the same process tree.</summary>
/// <param name="Name">What people see.</param>
/// <param name="Items">Items one run moves.</param>
/// <param name="RunAsync">Moves them and returns how long that took.</param>
internal sealed record Contender(string Name, long Items, Func<CancellationToken, Task<TimeSpan>> RunAsync);

/// <summary>A ratio or a floor.</summary>
/// <param name="Against">Name of another contender; null: items a second.</param>
/// <param name="AtLeast">The ratio, or the floor.</param>
internal sealed record BenchTarget(string? Against, double AtLeast);

/// <summary>Items a second, judged by ratios of medians: a machine that is busy is busy for all contenders.</summary>
/// <param name="Name">How it is chosen.</param>
/// <param name="Title">What is measured.</param>
/// <param name="Contenders">They do the same work; the first is judged.</param>
/// <param name="Targets">What the first must reach.</param>
internal sealed record ThroughputRow(string Name, string Title, IReadOnlyList<Contender> Contenders, IReadOnlyList<BenchTarget> Targets) : BenchRow(Name, Title)
{
    public const string Rate = "items/s";

    /// <summary>What the whole process allocated for an item; without meaning, and so left out, for contenders in other processes.</summary>
    public const string Bytes = "bytes/item";

    public override async Task<BenchResult> RunAsync(int rounds, CancellationToken ct)
    {
        var rates = Contenders.Select(_ => new List<double>()).ToArray();
        var bytes = Contenders.Select(_ => new List<double>()).ToArray();
        for (var round = -1; round < rounds; round++)
        {
            for (var i = 0; i < Contenders.Count; i++)
            {
                var before = GC.GetTotalAllocatedBytes(precise: true);
                var took = await Contenders[i].RunAsync(ct).ConfigureAwait(false);
                var allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
                if (round >= 0)
                {
                    rates[i].Add(Contenders[i].Items / took.TotalSeconds);
                    bytes[i].Add((double)allocated / Contenders[i].Items);
                }
            }
        }

        ContenderResult[] results = [.. Contenders.Select((c, i) => new ContenderResult(c.Name, FiguresOf(c, Median(rates[i]), Median(bytes[i]))))];
        return new BenchResult(Name, Title, results, [.. Targets.Select(t => Judge(t, results)).OfType<TargetResult>()]);
    }

    private static IReadOnlyList<Figure> FiguresOf(Contender contender, double rate, double bytes) =>
        contender.Name == Peers.Anyio ? [new Figure(Rate, rate)] : [new Figure(Rate, rate), new Figure(Bytes, bytes)];

    private static TargetResult? Judge(BenchTarget target, ContenderResult[] results)
    {
        var ours = results[0].Figures[0].Value;
        if (target.Against is null)
        {
            return new TargetResult(Rate, ours, target.AtLeast, AtMost: false);
        }

        return results.FirstOrDefault(r => r.Name == target.Against) is { } peer
            ? new TargetResult($"of {peer.Name}", ours / peer.Figures[0].Value, target.AtLeast, AtMost: false)
            : null;
    }
}
