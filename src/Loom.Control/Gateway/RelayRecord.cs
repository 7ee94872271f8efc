namespace Loom.Control.Gateway;

/// <summary>What was seen of an answer while it was forwarded. Used again for the next request of the connection.</summary>
/// <param name="gap">Told the time between two reads of a stream, in timestamp units.</param>
/// <param name="first">Called at the first byte.</param>
internal sealed class RelayRecord(Action<long> gap, Action? first = null)
{
    /// <summary>Tokens, if the engine told.</summary>
    public TokenUsage? Usage;

    private long _lastByteAt;

    /// <summary>When the first byte of the answer came; 0 while none did.</summary>
    public long FirstByteAt { get; private set; }

    /// <summary>Events with data; stands in for tokens when the engine told none.</summary>
    public int Events { get; set; }

    /// <summary>Bytes of the answer have come.</summary>
    public void Seen(long now)
    {
        if (FirstByteAt == 0)
        {
            FirstByteAt = now;
            first?.Invoke();
        }
        else
        {
            gap(now - _lastByteAt);
        }

        _lastByteAt = now;
    }

    public void Reset()
    {
        FirstByteAt = 0;
        Usage = null;
        Events = 0;
    }
}
