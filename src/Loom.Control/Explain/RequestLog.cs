namespace Loom.Control.Explain;

/// <summary>The records of the last requests, in a ring that is filled once and then used again.</summary>
/// <param name="capacity">How many; at least 1.</param>
internal sealed class RequestLog(int capacity = RequestLog.Kept)
{
    /// <summary>Requests that can be explained.</summary>
    public const int Kept = 10_000;

    private readonly RequestRecord?[] _ring = new RequestRecord?[capacity];
    private long _last = -1;

    /// <summary>A record for a request that begins. The oldest one is given up for it.</summary>
    public RequestRecord Begin(string id, string caller, string path, DateTimeOffset now)
    {
        ref var place = ref _ring[(int)(Interlocked.Increment(ref _last) % _ring.Length)];
        // A request that runs for longer than all these take still writes into its own.
        var record = Volatile.Read(ref place) is { HasEnded: true } free ? free : new RequestRecord();
        record.Begin(id, caller, path, now);
        Volatile.Write(ref place, record);
        return record;
    }

    /// <summary>The newest request with an id that <paramref name="visible"/> lets the asker see; null when there is none.</summary>
    public RequestRecord? Find(string id, Func<string, bool> visible)
    {
        var newest = Volatile.Read(ref _last);
        for (var i = newest; i >= 0 && i > newest - _ring.Length; i--)
        {
            if (Volatile.Read(ref _ring[(int)(i % _ring.Length)]) is { } record && record.Id == id && visible(record.Caller))
            {
                return record;
            }
        }

        return null;
    }
}
