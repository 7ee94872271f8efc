namespace Loom.Harness.Streams;

/// <summary>Remembers which correlation ids have passed: 100,000 of them, for 60 s.</summary>
internal sealed class FirstWins(TimeProvider time)
{
    private const int Kept = 100_000;

    private static readonly TimeSpan s_window = TimeSpan.FromSeconds(60);

    private readonly HashSet<string> _seen = new(StringComparer.Ordinal);
    private readonly Queue<(string Id, long At)> _order = [];
    private long _later;

    /// <summary>Events that came second.</summary>
    public long Later => Volatile.Read(ref _later);

    public bool Passes(string id)
    {
        var now = time.GetTimestamp();
        while (_order.TryPeek(out var oldest) && (_order.Count >= Kept || time.GetElapsedTime(oldest.At, now) > s_window))
        {
            _order.Dequeue();
            _seen.Remove(oldest.Id);
        }

        if (!_seen.Add(id))
        {
            _later++;
            return false;
        }

        _order.Enqueue((id, now));
        return true;
    }
}
