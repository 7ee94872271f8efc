namespace Loom.Core.Web;

/// <summary>What a refused client is told about coming back.</summary>
/// <param name="Milliseconds">The wait, jitter included, 1 ms to 60 s.</param>
public readonly record struct Backoff(int Milliseconds)
{
    private const double Longest = 60_000;
    private const double Jitter = 0.1;

    /// <summary>The wait in whole seconds, rounded up: 1 to 60.</summary>
    public int Seconds => Math.Clamp((Milliseconds + 999) / 1000, 1, 60);

    /// <summary>Spreads clients by ±10 % so that they do not come back together.</summary>
    /// <param name="predictedMs">Predicted wait.</param>
    /// <param name="leastMs">Shortest wait worth telling.</param>
    /// <param name="random">Source of chance.</param>
    public static Backoff Of(double predictedMs, int leastMs, Random random)
    {
        var jittered = predictedMs * (1 - Jitter + (2 * Jitter * random.NextDouble()));
        return new Backoff((int)Math.Clamp(Math.Ceiling(jittered), Math.Max(1, leastMs), Longest));
    }
}
