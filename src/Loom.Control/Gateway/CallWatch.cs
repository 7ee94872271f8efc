using Loom.Control.Admission;

namespace Loom.Control.Gateway;

/// <summary>What ended a call before its natural end.</summary>
internal enum EndCause
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>The client closed its connection.</summary>
    ClientGone,

    /// <summary>The client took too long to send its body.</summary>
    SlowBody,

    /// <summary>No slot became free within the queue timeout.</summary>
    QueueTimeout,

    /// <summary>The caller's own deadline passed.</summary>
    Deadline,

    /// <summary>The engine did not begin to answer.</summary>
    FirstTokenTimeout,

    /// <summary>The engine fell silent in mid-stream.</summary>
    StreamIdle,

    /// <summary>The client accepts no bytes.</summary>
    ClientStall,

    /// <summary>The control plane stops and the drain deadline has passed.</summary>
    Shutdown,

    /// <summary>The node that works on it is lost.</summary>
    NodeLost,

    /// <summary>Its pool is being emptied and the time it had is over.</summary>
    Drained,
}

/// <summary>
/// One cancellation for everything that can end a call, which remembers what did: the first cause wins. One instance serves all calls of a connection.
/// Its timer is moved only when it fires, so extending a silence limit costs one field.
/// </summary>
internal sealed class CallWatch : ILeaseHolder, IDisposable
{
    private static readonly long s_never = long.MaxValue;

    private readonly Lock _gate = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private CancellationTokenSource _source = new();
    private bool _active;
    private bool _clientGone;
    private long _lease;
    private EndCause _cause;
    private EndCause _silenceCause;
    private long _silenceDue = s_never;
    private long _deadlineDue = s_never;
    private long _timerDue = s_never;

    public CallWatch(TimeProvider time)
    {
        _time = time;
        _timer = time.CreateTimer(static watch => ((CallWatch)watch!).OnTimer(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Fires when the call must end; <see cref="Cause"/> is set before.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>What ended the call, or <see cref="EndCause.None"/>.</summary>
    public EndCause Cause => _cause;

    /// <summary>When <see cref="Token"/> fired; meaningful once it has.</summary>
    public long EndedAt { get; private set; }

    /// <summary>Starts a call.</summary>
    public void Begin()
    {
        lock (_gate)
        {
            // Whoever set a cause may not have fired its source yet; that one is left to them, so that no later call is ended by it.
            if (_cause != EndCause.None || !_source.TryReset())
            {
                _source = new CancellationTokenSource();
            }

            _active = true;
            _lease = 0;
            _cause = EndCause.None;
            _silenceDue = s_never;
            _deadlineDue = s_never;
        }

        if (_clientGone)
        {
            End(EndCause.ClientGone);
        }
    }

    /// <summary>Limits the whole call, from now; nothing left ends it at once.</summary>
    public void LimitTo(TimeSpan left)
    {
        lock (_gate)
        {
            _deadlineDue = DueIn(left);
            Schedule(_deadlineDue);
        }
    }

    /// <summary>Starts a silence limit anew, in place of the one before.</summary>
    public void Expect(EndCause otherwise, TimeSpan within)
    {
        lock (_gate)
        {
            _silenceCause = otherwise;
            _silenceDue = DueIn(within);
            Schedule(_silenceDue);
        }
    }

    /// <summary>Takes the silence limit away, until the next one is set.</summary>
    public void ExpectNothing()
    {
        lock (_gate)
        {
            _silenceDue = s_never;
        }
    }

    /// <summary>The silence limit as it stands, to be put back after one that came between.</summary>
    public (EndCause Otherwise, long Due) SilenceLimit
    {
        get
        {
            lock (_gate)
            {
                return (_silenceCause, _silenceDue);
            }
        }

        set
        {
            lock (_gate)
            {
                (_silenceCause, _silenceDue) = value;
                Schedule(_silenceDue);
            }
        }
    }

    /// <summary>Ends the call for a reason. False when it has ended before.</summary>
    public bool End(EndCause cause) => End(cause, lease: 0);

    /// <summary>From now on the loss of this lease ends the call.</summary>
    public void Hold(Ticket ticket)
    {
        lock (_gate)
        {
            _lease = ticket.Lease;
        }

        // Lost before this: whoever took it has told nobody. Lost after this: told twice at worst.
        if (ticket.Loss != LeaseLoss.None)
        {
            Lost(ticket.Lease, ticket.Loss);
        }
    }

    /// <summary>The work with the lease is over.</summary>
    public void LetGo()
    {
        lock (_gate)
        {
            _lease = 0;
        }
    }

    /// <inheritdoc/>
    public void Lost(long lease, LeaseLoss loss) => End(loss == LeaseLoss.NodeLost ? EndCause.NodeLost : EndCause.Drained, lease);

    /// <summary>Lets a call go on that only lost its lease. False when something else has ended it meanwhile.</summary>
    public bool Revive()
    {
        lock (_gate)
        {
            _lease = 0;
            _source = new CancellationTokenSource();
            _cause = EndCause.None;
            _silenceDue = s_never;
            if (_deadlineDue != s_never)
            {
                // Its timer may have fired in vain.
                Schedule(_deadlineDue);
            }
        }

        return !_clientGone || !End(EndCause.ClientGone);
    }

    /// <summary>Ends this call and all later ones of the connection.</summary>
    public void ClientGone()
    {
        lock (_gate)
        {
            _clientGone = true;
        }

        // A running timer would keep all of a closed connection in memory until it fires.
        _timer.Dispose();
        End(EndCause.ClientGone);
    }

    /// <summary>The call is over; nothing can end it any more.</summary>
    public void Finish()
    {
        lock (_gate)
        {
            _active = false;
        }
    }

    public void Dispose() => _timer.Dispose();

    // Lease 0: whichever it holds.
    private bool End(EndCause cause, long lease)
    {
        CancellationTokenSource source;
        lock (_gate)
        {
            if (!_active || _cause != EndCause.None || (lease != 0 && lease != _lease))
            {
                return false;
            }

            _cause = cause;
            EndedAt = _time.GetTimestamp();
            source = _source;
        }

        // Outside the lock: callbacks run here.
        source.Cancel();
        return true;
    }

    private void OnTimer()
    {
        EndCause cause;
        lock (_gate)
        {
            _timerDue = s_never;
            if (!_active)
            {
                return;
            }

            var now = _time.GetTimestamp();
            var next = Math.Min(_silenceDue, _deadlineDue);
            if (next > now)
            {
                Schedule(next);
                return;
            }

            cause = _deadlineDue <= now ? EndCause.Deadline : _silenceCause;
        }

        End(cause);
    }

    private long DueIn(TimeSpan span) => _time.GetTimestamp() + (long)(span.TotalSeconds * _time.TimestampFrequency);

    private void Schedule(long due)
    {
        // A call whose client is gone has ended, and its timer is disposed.
        if (due >= _timerDue || _clientGone)
        {
            return;
        }

        _timerDue = due;
        var wait = _time.GetElapsedTime(_time.GetTimestamp(), due);
        // A timer counts whole milliseconds; rounding up keeps it from firing early and being set again.
        _timer.Change(wait < TimeSpan.Zero ? TimeSpan.Zero : wait + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }
}
