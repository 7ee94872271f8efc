namespace Loom.Control.Gateway;

/// <summary>What was seen of an answer while it was forwarded. Used again for the next request of the connection.</summary>
internal sealed class RelayRecord
{
    /// <summary>Tokens, if the engine told.</summary>
    public TokenUsage? Usage;

    /// <summary>When the first byte of the answer came; 0 while none did.</summary>
    public long FirstByteAt { get; set; }

    /// <summary>Events with data; stands in for tokens when the engine told none.</summary>
    public int Events { get; set; }

    public void Reset()
    {
        FirstByteAt = 0;
        Usage = null;
        Events = 0;
    }
}
