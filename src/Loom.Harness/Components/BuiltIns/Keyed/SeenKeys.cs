namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>Remembers a bounded number of keys, each with the time it was first seen; the one not met for longest is forgotten first.</summary>
internal sealed class SeenKeys(int capacity)
{
    private readonly Dictionary<string, LinkedListNode<(string Key, long Ticks)>> _byKey = new(StringComparer.Ordinal);
    private readonly LinkedList<(string Key, long Ticks)> _order = new();

    public int Count => _byKey.Count;

    /// <summary>Whether a key is new at a time; if so it is remembered.</summary>
    /// <param name="key">The key.</param>
    /// <param name="ticks">Its event's time.</param>
    /// <param name="timeToLive">How far from its first time it counts as known; zero for ever.</param>
    public bool IsNew(string key, long ticks, long timeToLive)
    {
        if (_byKey.TryGetValue(key, out var node))
        {
            _order.Remove(node);
            _order.AddLast(node);
            var isKnown = timeToLive == 0 || Math.Abs(ticks - node.Value.Ticks) < timeToLive;
            if (!isKnown && ticks > node.Value.Ticks)
            {
                node.Value = (key, ticks);
            }

            return !isKnown;
        }

        Add(key, ticks);
        return true;
    }

    public void Add(string key, long ticks)
    {
        if (_byKey.Count >= capacity && _order.First is { } oldest)
        {
            _byKey.Remove(oldest.Value.Key);
            _order.RemoveFirst();
        }

        _byKey[key] = _order.AddLast((key, ticks));
    }

    /// <summary>All keys, the one not met for longest first.</summary>
    public (string Key, long Ticks)[] Freeze()
    {
        var all = new (string, long)[_order.Count];
        _order.CopyTo(all, 0);
        return all;
    }
}
