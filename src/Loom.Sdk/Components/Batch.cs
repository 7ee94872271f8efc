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

    // The data input all its members came by.
    internal int Port { get; set; }

    internal ReadOnlySpan<Event<T>> Span => _events.AsSpan(0, Count);

    internal bool IsFull => Count == _events.Length;

    // Where more members can be put, followed by Grow.
    internal Span<Event<T>> Room => _events.AsSpan(Count);

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
        part.Port = Port;
        part.Reason = Reason;
        part.FirstItem = FirstItem;
        part.LastItem = LastItem;
        part.Formed = Formed;
        part.Dispatched = Dispatched;
        return part;
    }

    internal void Add(in Event<T> e) => _events[Count++] = e;

    internal void Grow(int by) => Count += by;

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
    private readonly IReadOnlyList<string> _ports;
    private Dictionary<int, Exception>? _failures;
    private Event<T>[] _events = new Event<T>[64];
    private int[] _members = new int[64];
    private int[]? _portOf;

    /// <summary>For one output port named <c>out</c>.</summary>
    public BatchEmitter()
        : this(["out"])
    {
    }

    /// <param name="ports">Names of the output ports; the first is the one <see cref="Send(int, Event{T})"/> means.</param>
    public BatchEmitter(IReadOnlyList<string> ports) => _ports = ports;

    /// <summary>Members that failed, by index.</summary>
    public IReadOnlyDictionary<int, Exception> Failures => _failures ?? (IReadOnlyDictionary<int, Exception>)System.Collections.Frozen.FrozenDictionary<int, Exception>.Empty;

    /// <summary>The results with the index of the member each came from, to test a component alone.</summary>
    public IReadOnlyList<(int Index, Event<T> Event)> Results => [.. Enumerable.Range(0, Count).Select(i => (_members[i], _events[i]))];

    // Results in the order they were sent; the member of each; whether that is the order of the members.
    internal ReadOnlySpan<Event<T>> Sent => _events.AsSpan(0, Count);

    internal ReadOnlySpan<int> Members => _members.AsSpan(0, Count);

    internal int Count { get; private set; }

    internal bool InOrder { get; private set; } = true;

    internal bool HasFailures => _failures is { Count: > 0 };

    // Whether every result goes to the first port.
    internal bool OnePort => _portOf is null;

    /// <summary>One result of the member at <paramref name="index"/>; all results are released in the order of their members.</summary>
    public void Send(int index, Event<T> e) => Send(index, 0, in e);

    /// <summary>One result for the named output port.</summary>
    /// <exception cref="ItemException">There is no such port: <c>unrouted</c>.</exception>
    public void Send(int index, string port, Event<T> e)
    {
        for (var i = 0; i < _ports.Count; i++)
        {
            if (string.Equals(_ports[i], port, StringComparison.Ordinal))
            {
                Send(index, i, in e);
                return;
            }
        }

        throw new ItemException("unrouted", $"there is no output port \"{port}\" (outputs: {string.Join(", ", _ports)})");
    }

    internal int PortIndexOf(int result) => _portOf is null ? 0 : _portOf[result];

    internal void Send(int index, int port, in Event<T> e)
    {
        if (Count == _events.Length)
        {
            Array.Resize(ref _events, Count * 2);
            Array.Resize(ref _members, Count * 2);
            if (_portOf is not null)
            {
                Array.Resize(ref _portOf, Count * 2);
            }
        }

        if (port != 0 || _portOf is not null)
        {
            _portOf ??= new int[_events.Length];
            _portOf[Count] = port;
        }

        InOrder &= Count == 0 || _members[Count - 1] <= index;
        _members[Count] = index;
        _events[Count] = e.AwaitsOrdinal ? e.Numbered(SentOf(index)) : e;
        Count++;
    }

    /// <summary>The member at <paramref name="index"/> failed; its results are not released.</summary>
    public void Fail(int index, Exception error) => (_failures ??= [])[index] = error;

    internal void Clear()
    {
        Array.Clear(_events, 0, Count);
        Count = 0;
        InOrder = true;
        _portOf = null;
        _failures?.Clear();
    }

    // Siblings sent before; a component that goes through its members in order finds them at the end.
    private int SentOf(int index)
    {
        var sent = 0;
        for (var i = Count - 1; i >= 0 && (!InOrder || _members[i] == index); i--)
        {
            sent += _members[i] == index ? 1 : 0;
        }

        return sent;
    }
}
