namespace Loom.Core.Queues;

/// <summary>What became of a newcomer.</summary>
public enum EnqueueOutcome
{
    /// <summary>It waits; nobody had to leave.</summary>
    Waiting,

    /// <summary>It waits; one older entry was evicted for it.</summary>
    WaitingAfterEviction,

    /// <summary>The queue is full and it was not let in.</summary>
    Refused,
}

/// <summary>
/// A bounded queue of two classes: interactive before batch, first in first out inside a class, with an overflow policy, and with positions and
/// removal from anywhere that cost the same at any depth. A batch entry that has waited for the batch patience competes with interactive ones by arrival.
/// Not thread safe: one owner.
/// </summary>
public sealed class TwoClassQueue<T>
{
    private readonly Lane<T> _interactive = new();
    private readonly Lane<T> _batch = new();
    private readonly long _batchPatience;
    private long _nextRank;

    /// <param name="capacity">Entries that may wait, both classes together; at least 1.</param>
    /// <param name="policy">What a newcomer to a full queue causes.</param>
    /// <param name="batchPatience">Time, in units of the timestamps passed in, after which a batch entry competes as interactive; 0 = never.</param>
    public TwoClassQueue(int capacity, OverflowPolicy policy, long batchPatience)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(capacity, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(batchPatience);
        Capacity = capacity;
        Policy = policy;
        _batchPatience = batchPatience;
    }

    /// <summary>Asked of each entry in turn by <see cref="TryTake{TState}"/>.</summary>
    public delegate bool Eligible<in TState>(T value, TState state);

    /// <summary>Entries that may wait.</summary>
    public int Capacity { get; }

    /// <summary>The overflow policy.</summary>
    public OverflowPolicy Policy { get; }

    /// <summary>Entries that wait, both classes. Exceeds <see cref="Capacity"/> only by entries given back with <see cref="Restore"/>.</summary>
    public int Count => _interactive.Count + _batch.Count;

    /// <summary>Entries of one class that wait.</summary>
    public int CountOf(QueueClass queueClass) => LaneOf(queueClass).Count;

    /// <summary>Lets a newcomer in, or not. An evicted entry is out of the queue when this returns; telling its owner is the caller's duty.</summary>
    /// <param name="value">The newcomer.</param>
    /// <param name="queueClass">Its class.</param>
    /// <param name="rank">Its arrival number from <see cref="TakeRank"/>; numbers must come in order.</param>
    /// <param name="arrived">Its timestamp of arrival.</param>
    /// <param name="entry">Its place; null when refused.</param>
    /// <param name="evicted">Who had to leave; null when nobody.</param>
    public EnqueueOutcome Enqueue(T value, QueueClass queueClass, long rank, long arrived, out QueueEntry<T>? entry, out QueueEntry<T>? evicted)
    {
        evicted = null;
        if (Count >= Capacity)
        {
            evicted = Policy == OverflowPolicy.DropLru ? Victim(queueClass) : null;
            if (evicted is null)
            {
                entry = null;
                return EnqueueOutcome.Refused;
            }

            evicted.Lane!.Remove(evicted);
        }

        entry = new QueueEntry<T>(value, queueClass, rank, arrived);
        LaneOf(queueClass).Append(entry);
        return evicted is null ? EnqueueOutcome.Waiting : EnqueueOutcome.WaitingAfterEviction;
    }

    /// <summary>
    /// The next arrival number. Work that need not wait takes one too: should its first dispatch fail, <see cref="Restore"/> gives it the place it would have had.
    /// </summary>
    public long TakeRank() => _nextRank++;

    /// <summary>Takes the first entry, in order of service, for which <paramref name="eligible"/> says yes; null when there is none.</summary>
    public QueueEntry<T>? TryTake<TState>(long now, TState state, Eligible<TState> eligible)
    {
        var interactive = _interactive.First;
        var batch = _batch.First;
        while (interactive is not null || batch is not null)
        {
            var isBatch = batch is not null && (interactive is null || (IsAged(batch, now) && batch.Rank < interactive.Rank));
            var candidate = isBatch ? batch! : interactive!;
            if (eligible(candidate.Value, state))
            {
                candidate.Lane!.Remove(candidate);
                return candidate;
            }

            if (isBatch)
            {
                batch = _batch.After(candidate);
            }
            else
            {
                interactive = _interactive.After(candidate);
            }
        }

        return null;
    }

    /// <summary>Lets dispatched work wait again at the place its rank gives it. Never evicts, never refuses.</summary>
    public QueueEntry<T> Restore(T value, QueueClass queueClass, long rank, long arrived)
    {
        var entry = new QueueEntry<T>(value, queueClass, rank, arrived);
        LaneOf(queueClass).Restore(entry);
        return entry;
    }

    /// <summary>Removes a waiting entry; false when it does not wait any more.</summary>
    public bool Remove(QueueEntry<T> entry)
    {
        if (entry.Lane is null)
        {
            return false;
        }

        entry.Lane.Remove(entry);
        return true;
    }

    /// <summary>How many of its class are ahead: 0 = next; -1 when it does not wait.</summary>
    public int PositionOf(QueueEntry<T> entry) => entry.Lane?.PositionOf(entry) ?? -1;

    /// <summary>The waiting entries, interactive first, each class in its order. The queue must not change meanwhile.</summary>
    public IEnumerable<QueueEntry<T>> Entries()
    {
        foreach (var lane in new[] { _interactive, _batch })
        {
            for (var entry = lane.First; entry is not null; entry = lane.After(entry))
            {
                yield return entry;
            }
        }
    }

    private QueueEntry<T>? Victim(QueueClass arriving) => _batch.First ?? (arriving == QueueClass.Interactive ? _interactive.First : null);

    private bool IsAged(QueueEntry<T> entry, long now) => _batchPatience > 0 && now - entry.Arrived >= _batchPatience;

    private Lane<T> LaneOf(QueueClass queueClass) => queueClass == QueueClass.Interactive ? _interactive : _batch;
}
