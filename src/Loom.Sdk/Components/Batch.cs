using System.Collections;

namespace Loom.Components;

/// <summary>Why a batch was closed.</summary>
public enum BatchReason
{
    /// <summary>It held <c>max_items</c>.</summary>
    Size,

    /// <summary>Its first event had waited <c>max_ms</c>.</summary>
    Time,

    /// <summary>The inputs ended.</summary>
    End,

    /// <summary>A checkpoint passes.</summary>
    Barrier,

    /// <summary>The system stops.</summary>
    Stop,
}

/// <summary>Events that are handled at once, in order, with what is known of their making. Valid during the call it is given to.</summary>
/// <typeparam name="T">The payload.</typeparam>
public sealed class Batch<T> : IReadOnlyList<Event<T>>
{
    private readonly Event<T>[] _events;

    internal Batch(int capacity) => _events = new Event<T>[capacity];

    /// <summary><c>component-run-sequence</c>.</summary>
    public string Id => $"{Component}-{Run}-{Sequence}";

    /// <summary>How many events it holds.</summary>
    public int Count { get; private set; }

    /// <summary>Why it was closed.</summary>
    public BatchReason Reason { get; internal set; }

    /// <summary>When its first event came.</summary>
    public DateTimeOffset FirstItem { get; internal set; }

    /// <summary>When its last event came.</summary>
    public DateTimeOffset LastItem { get; internal set; }

    /// <summary>When it was closed.</summary>
    public DateTimeOffset Formed { get; internal set; }

    /// <summary>When it was handed to the component.</summary>
    public DateTimeOffset Dispatched { get; internal set; }

    /// <summary>A member, in order of arrival.</summary>
    public Event<T> this[int index] => index < Count ? _events[index] : throw new ArgumentOutOfRangeException(nameof(index));

    internal string Component { get; set; } = "";

    internal string Run { get; set; } = "";

    internal long Sequence { get; set; }

    internal ReadOnlySpan<Event<T>> Span => _events.AsSpan(0, Count);

    internal bool IsFull => Count == _events.Length;

    /// <summary>A batch made by hand, to test a component alone.</summary>
    public static Batch<T> Of(params ReadOnlySpan<Event<T>> events)
    {
        var batch = new Batch<T>(Math.Max(1, events.Length)) { Component = "test", Run = "0" };
        foreach (ref readonly var e in events)
        {
            batch.Add(e);
        }

        return batch;
    }

    /// <inheritdoc />
    public IEnumerator<Event<T>> GetEnumerator()
    {
        for (var i = 0; i < Count; i++)
        {
            yield return _events[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    // Some members of this batch under its own id and times.
    internal Batch<T> Part(ReadOnlySpan<Event<T>> members)
    {
        var part = Of(members);
        part.Component = Component;
        part.Run = Run;
        part.Sequence = Sequence;
        part.Reason = Reason;
        part.FirstItem = FirstItem;
        part.LastItem = LastItem;
        part.Formed = Formed;
        part.Dispatched = Dispatched;
        return part;
    }

    internal void Add(in Event<T> e) => _events[Count++] = e;

    internal void Clear()
    {
        Array.Clear(_events, 0, Count);
        Count = 0;
    }
}

/// <summary>Takes what a component makes of a batch: results of each member, and the members that failed.</summary>
/// <typeparam name="T">Payload of the output.</typeparam>
public sealed class BatchEmitter<T>
{
    private readonly Dictionary<int, Exception> _failures = [];

    /// <summary>Results in the order they were sent, each with the index of the member it came from.</summary>
    internal List<(int Index, Event<T> Event)> Sent { get; } = [];

    /// <summary>Members that failed, by index.</summary>
    public IReadOnlyDictionary<int, Exception> Failures => _failures;

    /// <summary>The results, to test a component alone.</summary>
    public IReadOnlyList<(int Index, Event<T> Event)> Results => Sent;

    /// <summary>One result of the member at <paramref name="index"/>; all results are released in the order of their members.</summary>
    public void Send(int index, Event<T> e)
    {
        var ordinal = 0;
        if (e.AwaitsOrdinal)
        {
            for (var i = Sent.Count - 1; i >= 0; i--)
            {
                ordinal += Sent[i].Index == index ? 1 : 0;
            }

            e = e.Numbered(ordinal);
        }

        Sent.Add((index, e));
    }

    /// <summary>The member at <paramref name="index"/> failed; its results are not released.</summary>
    public void Fail(int index, Exception error) => _failures[index] = error;

    internal void Clear()
    {
        Sent.Clear();
        _failures.Clear();
    }
}
