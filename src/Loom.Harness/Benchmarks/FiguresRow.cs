namespace Loom.Harness.Benchmarks;

/// <summary>A way to do something that is judged by more than its rate: several figures, less of each is better.</summary>
/// <param name="Name">What people see.</param>
/// <param name="RunAsync">Does it once and returns its figures, the same ones each time.</param>
internal sealed record Subject(string Name, Func<CancellationToken, Task<IReadOnlyList<Figure>>> RunAsync);

/// <summary>An upper limit.</summary>
/// <param name="Of">Name of a subject.</param>
/// <param name="Figure">Name of its figure.</param>
/// <param name="AtMost">The limit: a multiple of the other's figure, or the figure itself.</param>
/// <param name="Against">Name of another subject; null: the figure itself is limited.</param>
/// <param name="AtLeast">Whether it is a lower limit instead.</param>
internal sealed record Limit(string Of, string Figure, double AtMost, string? Against = null, bool AtLeast = false);

/// <summary>Latencies, memory, pauses: figures of one or several subjects, medians over the rounds.</summary>
/// <param name="Name">How it is chosen.</param>
/// <param name="Title">What is measured.</param>
/// <param name="Subjects">They take turns.</param>
/// <param name="Limits">What must be kept.</param>
internal sealed record FiguresRow(string Name, string Title, IReadOnlyList<Subject> Subjects, IReadOnlyList<Limit> Limits) : BenchRow(Name, Title)
{
    public override async Task<BenchResult> RunAsync(int rounds, CancellationToken ct)
    {
        var seen = Subjects.ToDictionary(s => s.Name, _ => new List<IReadOnlyList<Figure>>(), StringComparer.Ordinal);
        for (var round = -1; round < rounds; round++)
        {
            foreach (var subject in Subjects)
            {
                var figures = await subject.RunAsync(ct).ConfigureAwait(false);
                if (round >= 0)
                {
                    seen[subject.Name].Add(figures);
                }
            }
        }

        ContenderResult[] results = [.. Subjects.Select(s => new ContenderResult(s.Name, Medians(seen[s.Name])))];
        return new BenchResult(Name, Title, results, [.. Limits.Select(l => Judge(l, results))]);
    }

    private static IReadOnlyList<Figure> Medians(List<IReadOnlyList<Figure>> rounds) =>
        [.. rounds[0].Select((f, i) => new Figure(f.Name, Median(rounds.Select(r => r[i].Value))))];

    private static TargetResult Judge(Limit limit, ContenderResult[] results)
    {
        double ValueOf(string subject) => results.Single(r => r.Name == subject).Figures.Single(f => f.Name == limit.Figure).Value;
        return limit.Against is { } peer
            ? new TargetResult($"{limit.Of}: {limit.Figure}, of {peer}", ValueOf(limit.Of) / ValueOf(peer), limit.AtMost, !limit.AtLeast)
            : new TargetResult($"{limit.Of}: {limit.Figure}", ValueOf(limit.Of), limit.AtMost, !limit.AtLeast);
    }
}
