namespace Loom.Core.Queues;

/// <summary>One place in a <see cref="TwoClassQueue{T}"/>. Owned by whoever owns the queue; not thread safe.</summary>
public sealed class QueueEntry<T>
{
    internal QueueEntry(T value, QueueClass queueClass, long rank, long arrived)
    {
        Value = value;
        Class = queueClass;
        Rank = rank;
        Arrived = arrived;
    }

    /// <summary>What waits.</summary>
    public T Value { get; }

    /// <summary>Its class; never changes.</summary>
    public QueueClass Class { get; }

    /// <summary>Arrival number over both classes; smaller came first. Kept when an entry leaves and returns.</summary>
    public long Rank { get; }

    /// <summary>Timestamp of arrival, in the clock of the queue's caller.</summary>
    public long Arrived { get; }

    /// <summary>Whether the entry waits at present.</summary>
    public bool IsWaiting => Lane is not null;

    internal Lane<T>? Lane { get; set; }

    /// <summary>Place in the lane's array; increases along the lane.</summary>
    internal int Slot { get; set; }
}
