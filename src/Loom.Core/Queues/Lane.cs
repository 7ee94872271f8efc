namespace Loom.Core.Queues;

/// <summary>Entries of one class in order of rank: a linked list for order and O(1) removal, a <see cref="RankIndex"/> for positions.</summary>
internal sealed class Lane<T>
{
    private const int SmallestIndex = 64;

    private readonly RankIndex _index = new(SmallestIndex);
    private int _nextSlot;

    public QueueEntry<T>? First { get; private set; }

    public QueueEntry<T>? Last { get; private set; }

    public int Count { get; private set; }

    public int PositionOf(QueueEntry<T> entry) => ReferenceEquals(entry, First) ? 0 : _index.CountBefore(entry.Slot);

    public void Append(QueueEntry<T> entry)
    {
        if (_nextSlot == _index.Size)
        {
            Renumber();
        }

        Link(entry, Last, null);
        entry.Slot = _nextSlot++;
        _index.Append(entry.Slot);
    }

    /// <summary>Puts an entry back where its rank belongs. O(n), for the rare entry that was taken out and could not be served.</summary>
    public void Restore(QueueEntry<T> entry)
    {
        var next = First;
        while (next is not null && next.Rank < entry.Rank)
        {
            next = next.Next;
        }

        Link(entry, next is null ? Last : next.Previous, next);
        Renumber();
    }

    public void Remove(QueueEntry<T> entry)
    {
        _index.Remove(entry.Slot);
        if (entry.Previous is null)
        {
            First = entry.Next;
        }
        else
        {
            entry.Previous.Next = entry.Next;
        }

        if (entry.Next is null)
        {
            Last = entry.Previous;
        }
        else
        {
            entry.Next.Previous = entry.Previous;
        }

        entry.Previous = null;
        entry.Next = null;
        entry.Lane = null;
        Count--;
        if (Count == 0)
        {
            // An empty lane starts again from its first slot: the index stays small in the cache.
            _nextSlot = 0;
            _index.Restart();
        }
    }

    private void Link(QueueEntry<T> entry, QueueEntry<T>? previous, QueueEntry<T>? next)
    {
        entry.Lane = this;
        entry.Previous = previous;
        entry.Next = next;
        if (previous is null)
        {
            First = entry;
        }
        else
        {
            previous.Next = entry;
        }

        if (next is null)
        {
            Last = entry;
        }
        else
        {
            next.Previous = entry;
        }

        Count++;
    }

    // At least half of the slots are free afterwards, so the O(n) here is paid by n/2 appends.
    private void Renumber()
    {
        var size = _index.Size;
        while (Count > size / 2)
        {
            size *= 2;
        }

        var slot = 0;
        for (var entry = First; entry is not null; entry = entry.Next)
        {
            entry.Slot = slot++;
        }

        _nextSlot = slot;
        _index.Reset(size, slot);
    }
}
