namespace Loom.Harness.Benchmarks;

/// <summary>Runs contenders interleaved, round by round, and judges medians by their ratios: a machine that is busy is busy for all of them.</summary>
internal static class BenchRunner
{
    /// <param name="row">What to measure.</param>
    /// <param name="rounds">Measured rounds; one more warms up.</param>
    /// <param name="ct">Gives up.</param>
    public static async Task<BenchResult> RunAsync(BenchRow row, int rounds, CancellationToken ct)
    {
        var rates = row.Contenders.ToDictionary(c => c.Name, _ => new List<double>(), StringComparer.Ordinal);
        var bytes = row.Contenders.ToDictionary(c => c.Name, _ => new List<double>(), StringComparer.Ordinal);
        for (var round = -1; round < rounds; round++)
        {
            foreach (var contender in row.Contenders)
            {
                var before = GC.GetTotalAllocatedBytes(precise: true);
                var took = await contender.RunAsync(ct).ConfigureAwait(false);
                var allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
                if (round >= 0)
                {
                    rates[contender.Name].Add(contender.Items / took.TotalSeconds);
                    bytes[contender.Name].Add((double)allocated / contender.Items);
                }
            }
        }

        ContenderResult[] results = [.. row.Contenders.Select(c => new ContenderResult(c.Name, Median(rates[c.Name]), c.Name == Peers.Anyio ? null : Median(bytes[c.Name])))];
        var ours = results[0].PerSecond;
        return new BenchResult(row.Name, row.Title, results, [.. row.Targets.Select(t => Judge(t, ours, results)).OfType<TargetResult>()]);
    }

    private static TargetResult? Judge(BenchTarget target, double ours, ContenderResult[] results)
    {
        if (target.Against is null)
        {
            return new TargetResult(null, ours, target.AtLeast);
        }

        return results.FirstOrDefault(r => r.Name == target.Against) is { } peer ? new TargetResult(peer.Name, ours / peer.PerSecond, target.AtLeast) : null;
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }
}
