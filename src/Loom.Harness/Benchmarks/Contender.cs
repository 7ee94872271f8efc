namespace Loom.Harness.Benchmarks;

/// <summary>One way to move items, measured beside others in the same process tree.</summary>
/// <param name="Name">What people see.</param>
/// <param name="Items">Items one run moves.</param>
/// <param name="RunAsync">Moves them and returns how long that took.</param>
internal sealed record Contender(string Name, long Items, Func<CancellationToken, Task<TimeSpan>> RunAsync);

/// <summary>A row of the table: contenders that do the same work, and what is asked of the first of them.</summary>
/// <param name="Name">How it is chosen.</param>
/// <param name="Title">What is measured.</param>
/// <param name="Contenders">Ours first.</param>
/// <param name="Targets">What ours must reach.</param>
internal sealed record BenchRow(string Name, string Title, IReadOnlyList<Contender> Contenders, IReadOnlyList<BenchTarget> Targets);

/// <summary>A ratio or a floor.</summary>
/// <param name="Against">Name of another contender; null: items a second.</param>
/// <param name="AtLeast">The ratio, or the floor.</param>
internal sealed record BenchTarget(string? Against, double AtLeast);

/// <summary>What a contender did.</summary>
/// <param name="Name">Its name.</param>
/// <param name="PerSecond">Median items a second.</param>
/// <param name="BytesPerItem">Median bytes the process allocated for an item; null for other processes.</param>
internal sealed record ContenderResult(string Name, double PerSecond, double? BytesPerItem);

/// <summary>A measured target.</summary>
/// <param name="Against">What ours was held against; null: a floor.</param>
/// <param name="Measured">The ratio, or items a second.</param>
/// <param name="AtLeast">What was asked.</param>
internal sealed record TargetResult(string? Against, double Measured, double AtLeast)
{
    public bool Met => Measured >= AtLeast;
}

/// <summary>A measured row.</summary>
internal sealed record BenchResult(string Name, string Title, IReadOnlyList<ContenderResult> Contenders, IReadOnlyList<TargetResult> Targets);
