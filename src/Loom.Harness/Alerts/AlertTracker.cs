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

/// <summary>Follows one alert: it fires once when its condition has held for long enough, and is over once when it no longer does. Pure over what it is told; one caller.</summary>
internal sealed class AlertTracker(AlertRule rule)
{
    private DateTimeOffset _since;

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
            var fired = State == AlertState.Firing;
            State = AlertState.Inactive;
            return fired ? new AlertChange(rule, Fires: false, _since, now) : null;
        }

        if (State == AlertState.Inactive)
        {
            (State, _since) = (AlertState.Pending, now);
        }

        if (State == AlertState.Firing || now - _since < rule.For)
        {
            return null;
        }

        State = AlertState.Firing;
        Fired++;
        return new AlertChange(rule, Fires: true, _since, now);
    }
}
