using System.Collections.Concurrent;
using Loom.Node.Engines;

namespace Loom.Node.Pools;

/// <summary>
/// How long engines have done nothing, by looking at them now and then: their token counters tell of requests that came and went between two looks. An
/// engine without counters is never called idle: a guess would unload a model in use.
/// </summary>
internal sealed class IdleClock(EngineClient client, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, Look> _looks = new(StringComparer.Ordinal);

    /// <summary>Looks; null = the engine does not say.</summary>
    public async Task<TimeSpan?> ReadAsync(string url, CancellationToken cancellationToken)
    {
        var now = time.GetTimestamp();
        if (await client.ActivityAsync(new Uri(url), cancellationToken).ConfigureAwait(false) is not { Tokens: { } tokens } activity)
        {
            return null;
        }

        var look = _looks.AddOrUpdate(url, new Look(now, tokens),
            (_, before) => activity.Busy > 0 || before.Tokens != tokens ? new Look(now, tokens) : before);
        return activity.Busy > 0 ? TimeSpan.Zero : time.GetElapsedTime(look.Since, now);
    }

    /// <summary>What was seen.</summary>
    /// <param name="Since">When the counters last changed, as a timestamp.</param>
    /// <param name="Tokens">What they said.</param>
    private sealed record Look(long Since, double Tokens);
}
