using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>An event that waits for a partner.</summary>
internal sealed class Waiting(string key, Event<JsonElement> e, long ticks)
{
    public string Key { get; } = key;

    public Event<JsonElement> Event { get; } = e;

    /// <summary>The time it goes by: its own or that of its arrival.</summary>
    public long Ticks { get; } = ticks;

    public bool Matched { get; set; }
}

/// <summary>The events of one input that may still find a partner.</summary>
internal sealed class JoinSide
{
    private readonly Dictionary<string, List<Waiting>> _byKey = new(StringComparer.Ordinal);
    private readonly PriorityQueue<Waiting, (long Ticks, long Order)> _byTime = new();
    private long _order;

    /// <summary>Newest time met.</summary>
    public long Newest { get; set; } = long.MinValue;

    public int Count => _byTime.Count;

    public void Add(Waiting waiting)
    {
        if (!_byKey.TryGetValue(waiting.Key, out var list))
        {
            _byKey[waiting.Key] = list = new List<Waiting>(1);
        }

        list.Add(waiting);
        _byTime.Enqueue(waiting, (waiting.Ticks, _order++));
        Newest = Math.Max(Newest, waiting.Ticks);
    }

    /// <summary>Events of a key no further away in time than the window, in order of arrival.</summary>
    public IEnumerable<Waiting> Near(string key, long ticks, long window) =>
        _byKey.TryGetValue(key, out var list) ? list.Where(w => Math.Abs(w.Ticks - ticks) <= window) : [];

    /// <summary>Takes out the oldest event when it is older than a time.</summary>
    public Waiting? TakeOlderThan(long ticks)
    {
        if (!_byTime.TryPeek(out var oldest, out _) || oldest.Ticks >= ticks)
        {
            return null;
        }

        _byTime.Dequeue();
        var list = _byKey[oldest.Key];
        list.Remove(oldest);
        if (list.Count == 0)
        {
            _byKey.Remove(oldest.Key);
        }

        return oldest;
    }

    /// <summary>All that wait, as they are now.</summary>
    public (Waiting Waiting, bool Matched)[] Freeze() => [.. _byKey.Values.SelectMany(l => l).Select(w => (w, w.Matched))];
}
