namespace Loom.Harness.Benchmarks;

/// <summary>A measured quantity.</summary>
/// <param name="Name">What it is, with its unit.</param>
/// <param name="Value">Its median over the rounds.</param>
internal sealed record Figure(string Name, double Value);

/// <summary>What a contender did.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Figures">The one that counts first.</param>
internal sealed record ContenderResult(string Name, IReadOnlyList<Figure> Figures);

/// <summary>A limit and how it was kept.</summary>
/// <param name="What">What was measured, and against whom.</param>
/// <param name="Measured">A ratio, or a quantity in the unit <paramref name="What"/> tells.</param>
/// <param name="Wanted">The limit.</param>
/// <param name="AtMost">Whether less is better.</param>
internal sealed record TargetResult(string What, double Measured, double Wanted, bool AtMost)
{
    public bool Met => AtMost ? Measured <= Wanted : Measured >= Wanted;
}

/// <summary>A measured row.</summary>
internal sealed record BenchResult(string Name, string Title, IReadOnlyList<ContenderResult> Contenders, IReadOnlyList<TargetResult> Targets);

/// <summary>A row of the table.</summary>
/// <param name="Name">How it is chosen.</param>
/// <param name="Title">What is measured.</param>
internal abstract record BenchRow(string Name, string Title)
{
    /// <param name="rounds">Measured rounds, in which contenders take turns; one more warms up.</param>
    /// <param name="ct">Gives up.</param>
    public abstract Task<BenchResult> RunAsync(int rounds, CancellationToken ct);

    protected static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
