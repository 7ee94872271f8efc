using Loom.Processes;

namespace Loom.Node.Engines;

/// <summary>
/// Restarts of an engine with a breaker: after five crashes without a stable minute between, the breaker opens for 300 s; then one trial; a trial that
/// fails opens it for twice as long, at most an hour; a stable minute closes it and clears the count. An engine that ends with 0 unasked meant it.
/// </summary>
public sealed record EngineRestartPolicy : RestartPolicy
{
    /// <summary>
    /// Whether the engine's log since that time speaks of missing memory or CUDA errors, which doubles the delay: memory comes back slowly. The only thing
    /// the choice looks at outside its arguments.
    /// </summary>
    public Func<DateTimeOffset, bool> MemoryTroubleSince { get; init; } = _ => false;

    /// <summary>Crashes in a row that open the breaker. Default 5.</summary>
    public int Threshold { get; init; } = 5;

    /// <summary>First time the breaker stays open. Default 300 s.</summary>
    public TimeSpan OpenFirst { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>Longest time it stays open. Default one hour.</summary>
    public TimeSpan OpenMax { get; init; } = TimeSpan.FromHours(1);

    /// <summary>Time ready after which a crash counts as the first again. Default 60 s.</summary>
    public TimeSpan StableAfter { get; init; } = TimeSpan.FromSeconds(60);

    /// <inheritdoc/>
    public override RestartDecision Decide(EndCause cause, TimeSpan aliveFor, TimeSpan readyFor, RestartHistory history, DateTimeOffset now, double chance)
    {
        if (cause == EndCause.Success)
        {
            return new RestartDecision.Complete();
        }

        if (cause == EndCause.Fatal)
        {
            return new RestartDecision.GiveUp("ended with a fatal code");
        }

        // Loading is no stable time: a large model that never fits would load, crash and count as the first crash for ever.
        var crashes = (readyFor >= StableAfter ? 0 : history.Consecutive) + 1;
        var delay = crashes < Threshold
            ? Doubled(BackoffFirst, BackoffMax, crashes - 1)
            : Doubled(OpenFirst, OpenMax, crashes - Threshold);
        if (MemoryTroubleSince(now - aliveFor))
        {
            delay = delay * 2 < OpenMax ? delay * 2 : OpenMax;
        }

        delay *= 1 + (Jitter * ((2 * chance) - 1));
        return new RestartDecision.Again(delay, new RestartHistory(crashes, history.Recent.RemoveAll(t => now - t >= Window).Add(now)));
    }

    /// <summary>Whether a delay this long is that of an open breaker: those of a closed one stay below half of <see cref="OpenFirst"/>.</summary>
    public bool IsOpen(TimeSpan delay) => delay >= OpenFirst / 2;

    private static TimeSpan Doubled(TimeSpan first, TimeSpan max, int times)
    {
        var delay = first * Math.Pow(2, Math.Min(times, 30));
        return delay < max ? delay : max;
    }
}
