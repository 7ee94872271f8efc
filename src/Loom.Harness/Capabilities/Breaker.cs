namespace Loom.Harness.Capabilities;

internal enum BreakerState
{
    Closed,
    Open,
    HalfOpen,
}

/// <summary>
/// Counts failures in a row and closes the way for a while: then one call may try, and its outcome decides. Decides only; whoever asks does the waiting.
/// </summary>
internal sealed class Breaker(int failures, TimeSpan openFor, TimeProvider time)
{
    private readonly Lock _lock = new();
    private volatile BreakerState _state;
    private int _inARow;
    private long _openedAt;
    private bool _trying;

    public BreakerState State => _state;

    /// <summary>Times it has opened.</summary>
    public long Opened { get; private set; }

    /// <summary>Whether a call may go, or how long to wait before asking again.</summary>
    public bool MayPass(out TimeSpan wait)
    {
        wait = TimeSpan.Zero;
        if (_state == BreakerState.Closed)
        {
            return true;
        }

        lock (_lock)
        {
            if (_state == BreakerState.Open)
            {
                wait = openFor - time.GetElapsedTime(_openedAt);
                if (wait > TimeSpan.Zero)
                {
                    return false;
                }

                _state = BreakerState.HalfOpen;
                _trying = false;
            }

            if (_state == BreakerState.Closed)
            {
                return true;
            }

            if (_trying)
            {
                // Somebody is trying; a short while shows how that went.
                wait = TimeSpan.FromMilliseconds(Math.Clamp(openFor.TotalMilliseconds / 100, 1, 1000));
                return false;
            }

            _trying = true;
            return true;
        }
    }

    public void Succeeded()
    {
        if (_state == BreakerState.Closed && _inARow == 0)
        {
            return;
        }

        lock (_lock)
        {
            _inARow = 0;
            _state = BreakerState.Closed;
        }
    }

    public void Failed()
    {
        lock (_lock)
        {
            _inARow++;
            if (_state == BreakerState.HalfOpen || _inARow >= failures)
            {
                Opened += _state == BreakerState.Open ? 0 : 1;
                _state = BreakerState.Open;
                _openedAt = time.GetTimestamp();
            }
        }
    }

    /// <summary>A call that was let through ended without a verdict (cancelled, or the event itself was at fault): another may try.</summary>
    public void Undecided()
    {
        if (_state == BreakerState.HalfOpen)
        {
            lock (_lock)
            {
                _trying = false;
            }
        }
    }
}
