namespace Loom.Harness.Capabilities;

/// <summary>Tokens that come at a rate and are saved up to a burst; a caller may go into debt and is told how long to wait. Not for several threads.</summary>
internal sealed class TokenBucket
{
    private readonly double _perTick;
    private readonly double _burst;
    private double _tokens;
    private long _at;

    /// <param name="perSecond">Tokens a second, above 0.</param>
    /// <param name="burst">Most tokens saved up; the bucket starts full.</param>
    /// <param name="now">A timestamp of the clock that is used throughout.</param>
    /// <param name="frequency">Timestamps a second.</param>
    public TokenBucket(double perSecond, double burst, long now, long frequency)
    {
        _perTick = perSecond / frequency;
        _burst = burst;
        _tokens = burst;
        _at = now;
    }

    /// <summary>Takes tokens now and says after how many ticks they are there: 0 when they were saved up.</summary>
    public long Take(int tokens, long now)
    {
        _tokens = Math.Min(_burst, _tokens + (Math.Max(0, now - _at) * _perTick));
        _at = Math.Max(_at, now);
        _tokens -= tokens;
        return _tokens >= 0 ? 0 : (long)Math.Ceiling(-_tokens / _perTick);
    }

    /// <summary>Gives tokens back that were taken and not used.</summary>
    public void Return(int tokens) => _tokens = Math.Min(_burst, _tokens + tokens);
}
