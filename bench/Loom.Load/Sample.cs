namespace Loom.Load;

/// <summary>What one round of one contender gave.</summary>
/// <param name="Sent">Requests begun.</param>
/// <param name="Completed">Requests answered with 200 and a whole body.</param>
/// <param name="Seconds">Length of the round.</param>
/// <param name="Milliseconds">Measured times, unordered.</param>
internal sealed record Sample(int Sent, int Completed, double Seconds, IReadOnlyList<double> Milliseconds)
{
    public double PerSecond => Completed / Seconds;

    public double CompletionRate => Sent == 0 ? 0 : (double)Completed / Sent;

    /// <summary>The value below which the share <paramref name="q"/> of the times lies.</summary>
    public double Quantile(double q)
    {
        if (Milliseconds.Count == 0)
        {
            return double.NaN;
        }

        var sorted = Milliseconds.Order().ToArray();
        return sorted[Math.Min((int)(q * sorted.Length), sorted.Length - 1)];
    }

    public static double Median(IEnumerable<double> values)
    {
        var sorted = values.Where(v => !double.IsNaN(v)).Order().ToArray();
        return sorted.Length == 0 ? double.NaN
            : sorted.Length % 2 == 1 ? sorted[sorted.Length / 2]
            : (sorted[(sorted.Length / 2) - 1] + sorted[sorted.Length / 2]) / 2;
    }
}
