namespace Loom.Core.Queues;

/// <summary>
/// Entries of one class in order of rank: each has a slot of an array, in rising order, and a <see cref="RankIndex"/> knows which slots are taken. Removal
/// empties a slot and touches no neighbour; the holes close when the array is full.
/// </summary>
internal sealed class Lane<T>
{
    private const int FewestSlots = 64;

    private readonly RankIndex _index = new(FewestSlots);
    private QueueEntry<T>?[] _slots = new QueueEntry<T>?[FewestSlots];

    // The first slot that is taken, and the first behind all that were.
    private int _first;
    private int _end;

    public QueueEntry<T>? First => Count == 0 ? null : _slots[_first];

    public int Count { get; private set; }

    /// <summary>The entry behind another one that waits here.</summary>
    public QueueEntry<T>? After(QueueEntry<T> entry) => _index.Next(entry.Slot) is >= 0 and var slot ? _slots[slot] : null;

    public int PositionOf(QueueEntry<T> entry) => entry.Slot == _first ? 0 : _index.CountBefore(entry.Slot);

    public void Append(QueueEntry<T> entry)
    {
        if (_end == _slots.Length)
        {
            Close();
            _index.Reset(_slots.Length, Count);
        }

        if (Count == 0)
        {
            _first = _end;
        }

        Put(entry, _end);
        _index.Append(_end++);
        entry.Lane = this;
        Count++;
    }

    /// <summary>Puts an entry back where its rank belongs. O(n), for the rare entry that was taken out and could not be served.</summary>
    public void Restore(QueueEntry<T> entry)
    {
        Close();
        var slot = Count;
        for (; slot > 0 && _slots[slot - 1]!.Rank > entry.Rank; slot--)
        {
            Put(_slots[slot - 1]!, slot);
        }

        Put(entry, slot);
        entry.Lane = this;
        _end = ++Count;
        _index.Reset(_slots.Length, Count);
    }

    public void Remove(QueueEntry<T> entry)
    {
        var slot = entry.Slot;
        _slots[slot] = null;
        _index.Remove(slot);
        entry.Lane = null;
        Count--;
        if (Count == 0)
        {
            // An empty lane starts again from its first slot: what it uses stays small in the cache.
            _end = 0;
            _index.Restart();
        }
        else if (slot == _first)
        {
            _first = _index.Next(slot);
        }
    }

    // Entries move down to the first slots, in more of them where over half would be taken: the O(n) here is paid by n/2 appends.
    private void Close()
    {
        var size = _slots.Length;
        while (Count > size / 2)
        {
            size *= 2;
        }

        var before = _slots;
        _slots = size == before.Length ? before : new QueueEntry<T>?[size];
        var taken = 0;
        for (var slot = _first; taken < Count; slot++)
        {
            if (before[slot] is { } entry)
            {
                before[slot] = null;
                Put(entry, taken++);
            }
        }

        _first = 0;
        _end = Count;
    }

    private void Put(QueueEntry<T> entry, int slot)
    {
        _slots[slot] = entry;
        entry.Slot = slot;
    }
}
