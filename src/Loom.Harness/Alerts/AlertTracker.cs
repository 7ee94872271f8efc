namespace Loom.Harness.Alerts;

/// <summary>How an alert stands.</summary>
internal enum AlertState
{
    /// <summary>Its condition does not hold.</summary>
    Inactive,

    /// <summary>Its condition holds, not yet for long enough.</summary>
    Pending,
    Firing,
}

/// <summary>
/// Follows one alert: it fires once when its condition has held for long enough, and is over once when it has not held for long enough. What swings about its threshold meanwhile is
/// counted and not told. Pure over what it is told; one caller.
/// </summary>
internal sealed class AlertTracker(AlertRule rule)
{
    private DateTimeOffset _since;
    private long _times;

    // Since when the condition of an alert that fires has not held; null while it holds.
    private DateTimeOffset? _quietSince;

    public AlertRule Rule => rule;

    public AlertState State { get; private set; }

    /// <summary>Times it has fired.</summary>
    public long Fired { get; private set; }

    /// <summary>When its condition began to hold; null while it does not.</summary>
    public DateTimeOffset? Since => State == AlertState.Inactive ? null : _since;

    /// <summary>What becomes of it; null when nothing does.</summary>
    /// <param name="holds">Whether its condition holds.</param>
    /// <param name="now">When that was looked at.</param>
    public AlertChange? Observe(bool holds, DateTimeOffset now)
    {
        if (!holds)
        {
            if (State != AlertState.Firing)
            {
                State = AlertState.Inactive;
                return null;
            }

            _quietSince ??= now;
            return now - _quietSince < rule.KeepFiringFor ? null : Over(now, reason: null);
        }

        if (State == AlertState.Firing)
        {
            _times += _quietSince is null ? 0 : 1;
            _quietSince = null;
            return null;
        }

        if (State == AlertState.Inactive)
        {
            (State, _since) = (AlertState.Pending, now);
        }

        if (now - _since < rule.For)
        {
            return null;
        }

        (State, _times, _quietSince) = (AlertState.Firing, 1, null);
        Fired++;
        return new AlertChange(rule, Fires: true, _since, now);
    }

    /// <summary>It fired when the run before came to no good end, and that was told: it goes on firing until its condition has not held for long enough.</summary>
    /// <param name="since">When its condition began to hold.</param>
    public void Resume(DateTimeOffset since) => (State, _since, _times, _quietSince) = (AlertState.Firing, since, 1, null);

    /// <summary>Nobody looks any more, and for a good reason: an alert that fires is over. Null when it does not fire.</summary>
    /// <param name="now">When that is.</param>
    /// <param name="reason">Why.</param>
    public AlertChange? End(DateTimeOffset now, string reason)
    {
        if (State == AlertState.Firing)
        {
            return Over(now, reason);
        }

        State = AlertState.Inactive;
        return null;
    }

    private AlertChange Over(DateTimeOffset now, string? reason)
    {
        State = AlertState.Inactive;
        return new AlertChange(rule, Fires: false, _since, now, _times, reason);
    }
}
