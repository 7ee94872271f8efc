using System.Diagnostics;

namespace Loom.Components;

/// <summary>
/// One item on its way through a system: a payload with its identity, key and time. A value of 48 bytes for a payload of one reference, passed
/// by copy; the payload is immutable by contract, because a broadcast shares it.
/// </summary>
/// <typeparam name="T">The payload: a type of your own, or <see cref="System.Text.Json.JsonElement"/> where components of any kind meet.</typeparam>
public readonly struct Event<T>
{
    // Ticks of UTC need 62 bits; the two above them hold the marks.
    private const long MockMark = long.MinValue;
    private const long ChildMark = 1L << 62;
    private const long TickBits = ~(MockMark | ChildMark);

    private readonly long _time;

    // The key itself while it is all there is, which is the common case; else an EventMeta that holds it: one reference fewer in every copy.
    private readonly object? _more;

    /// <param name="id">Its identity; a source's events get theirs from the harness.</param>
    /// <param name="data">The payload.</param>
    /// <param name="key">What order and partitions follow; none by default.</param>
    /// <param name="time">When it happened; the default value stands for 0001-01-01, "unknown".</param>
    /// <param name="mock">Whether a mock had a hand in it; inherited by everything derived.</param>
    public Event(EventId id, T data, string? key = null, DateTimeOffset time = default, bool mock = false)
        : this(id, data, time.UtcTicks | (mock ? MockMark : 0), key)
    {
    }

    private Event(EventId id, T data, long time, object? more)
    {
        Id = id;
        Data = data;
        _time = time;
        _more = more;
    }

    /// <summary>Its identity and lineage.</summary>
    public EventId Id { get; }

    /// <summary>What order and partitions follow, or null.</summary>
    public string? Key => _more as string ?? Meta?.Key;

    /// <summary>The payload; never changed by anyone.</summary>
    public T Data { get; }

    /// <summary>When it happened, in UTC.</summary>
    public DateTimeOffset Time => new(_time & TickBits, TimeSpan.Zero);

    /// <summary>Whether a mock engine, dummy or dry run had a hand in it.</summary>
    public bool Mock => (_time & MockMark) != 0;

    /// <summary>Names and values that travel with it; empty until one is set.</summary>
    public IReadOnlyDictionary<string, string> Headers => Meta?.Headers ?? System.Collections.Frozen.FrozenDictionary<string, string>.Empty;

    /// <summary>The trace this event is sampled into, or the default value.</summary>
    public ActivityContext Trace => Meta?.Trace ?? default;

    /// <summary>Which delivery this is, from 1; higher after a component was restarted with the event in hand.</summary>
    public int Attempt => Meta?.Attempt ?? 1;

    private EventMeta? Meta => _more as EventMeta;

    private EventMeta Full => Meta ?? EventMeta.None with { Key = _more as string };

    internal bool IsTraced => _more is EventMeta meta && meta.Trace.TraceId != default;

    // Set by Derive: whoever sends the event numbers it among its parent's children.
    internal bool AwaitsOrdinal => (_time & ChildMark) != 0;

    /// <summary>A new event that came out of this one; it inherits key, time, headers, trace and mock, and is numbered when it is sent.</summary>
    public Event<TOut> Derive<TOut>(TOut data) => new(Id, data, _time | ChildMark, _more);

    /// <summary>A new event that came out of this one, numbered by the caller among its siblings, from 0.</summary>
    public Event<TOut> Derive<TOut>(TOut data, int ordinal) => new(Id.Child(ordinal), data, _time & ~ChildMark, _more);

    /// <summary>The same event with another form of its payload: same id, as for a conversion.</summary>
    public Event<TOut> With<TOut>(TOut data) => new(Id, data, _time, _more);

    /// <summary>The same event under another key.</summary>
    public Event<T> WithKey(string? key) => new(Id, Data, _time, Meta is { } meta ? meta with { Key = key } : key);

    /// <summary>The same event under another identity, as an aggregate has.</summary>
    public Event<T> WithId(EventId id) => new(id, Data, _time & ~ChildMark, _more);

    /// <summary>The same event at another time.</summary>
    public Event<T> WithTime(DateTimeOffset time) => new(Id, Data, time.UtcTicks | (_time & ~TickBits), _more);

    /// <summary>The same event, marked as touched by a mock.</summary>
    public Event<T> AsMock() => new(Id, Data, _time | MockMark, _more);

    /// <summary>The same event with one more header.</summary>
    public Event<T> WithHeader(string name, string value)
    {
        var headers = new Dictionary<string, string>(Headers, StringComparer.Ordinal) { [name] = value };
        return new Event<T>(Id, Data, _time, Full with { Headers = headers });
    }

    internal Event<T> WithTrace(ActivityContext trace) => new(Id, Data, _time, Full with { Trace = trace });

    internal Event<T> WithAttempt(int attempt) => new(Id, Data, _time, Full with { Attempt = attempt });

    internal Event<T> Numbered(int ordinal) => new(Id.Child(ordinal), Data, _time & ~ChildMark, _more);
}
