using System.Diagnostics;

namespace Loom.Components;

/// <summary>
/// One item on its way through a system: a payload with its identity, key and time. A value of 56 bytes for a payload of one reference, passed
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
    private readonly EventMeta? _meta;

    /// <param name="id">Its identity; a source's events get theirs from the harness.</param>
    /// <param name="data">The payload.</param>
    /// <param name="key">What order and partitions follow; none by default.</param>
    /// <param name="time">When it happened; the default value stands for 0001-01-01, "unknown".</param>
    /// <param name="mock">Whether a mock had a hand in it; inherited by everything derived.</param>
    public Event(EventId id, T data, string? key = null, DateTimeOffset time = default, bool mock = false)
        : this(id, data, key, time.UtcTicks | (mock ? MockMark : 0), meta: null)
    {
    }

    private Event(EventId id, T data, string? key, long time, EventMeta? meta)
    {
        Id = id;
        Data = data;
        Key = key;
        _time = time;
        _meta = meta;
    }

    /// <summary>Its identity and lineage.</summary>
    public EventId Id { get; }

    /// <summary>What order and partitions follow, or null.</summary>
    public string? Key { get; }

    /// <summary>The payload; never changed by anyone.</summary>
    public T Data { get; }

    /// <summary>When it happened, in UTC.</summary>
    public DateTimeOffset Time => new(_time & TickBits, TimeSpan.Zero);

    /// <summary>Whether a mock engine, dummy or dry run had a hand in it.</summary>
    public bool Mock => (_time & MockMark) != 0;

    /// <summary>Names and values that travel with it; empty until one is set.</summary>
    public IReadOnlyDictionary<string, string> Headers => _meta?.Headers ?? System.Collections.Frozen.FrozenDictionary<string, string>.Empty;

    /// <summary>The trace this event is sampled into, or the default value.</summary>
    public ActivityContext Trace => _meta?.Trace ?? default;

    /// <summary>Which delivery this is, from 1; higher after a component was restarted with the event in hand.</summary>
    public int Attempt => _meta?.Attempt ?? 1;

    // Set by Derive: whoever sends the event numbers it among its parent's children.
    internal bool AwaitsOrdinal => (_time & ChildMark) != 0;

    /// <summary>A new event that came out of this one; it inherits key, time, headers, trace and mock, and is numbered when it is sent.</summary>
    public Event<TOut> Derive<TOut>(TOut data) => new(Id, data, Key, _time | ChildMark, _meta);

    /// <summary>A new event that came out of this one, numbered by the caller among its siblings, from 0.</summary>
    public Event<TOut> Derive<TOut>(TOut data, int ordinal) => new(Id.Child(ordinal), data, Key, _time & ~ChildMark, _meta);

    /// <summary>The same event with another form of its payload: same id, as for a conversion.</summary>
    public Event<TOut> With<TOut>(TOut data) => new(Id, data, Key, _time, _meta);

    /// <summary>The same event under another key.</summary>
    public Event<T> WithKey(string? key) => new(Id, Data, key, _time, _meta);

    /// <summary>The same event under another identity, as an aggregate has.</summary>
    public Event<T> WithId(EventId id) => new(id, Data, Key, _time & ~ChildMark, _meta);

    /// <summary>The same event at another time.</summary>
    public Event<T> WithTime(DateTimeOffset time) => new(Id, Data, Key, time.UtcTicks | (_time & ~TickBits), _meta);

    /// <summary>The same event, marked as touched by a mock.</summary>
    public Event<T> AsMock() => new(Id, Data, Key, _time | MockMark, _meta);

    /// <summary>The same event with one more header.</summary>
    public Event<T> WithHeader(string name, string value)
    {
        var headers = new Dictionary<string, string>(Headers, StringComparer.Ordinal) { [name] = value };
        return new Event<T>(Id, Data, Key, _time, (_meta ?? EventMeta.None) with { Headers = headers });
    }

    internal Event<T> WithTrace(ActivityContext trace) => new(Id, Data, Key, _time, (_meta ?? EventMeta.None) with { Trace = trace });

    internal Event<T> WithAttempt(int attempt) => new(Id, Data, Key, _time, (_meta ?? EventMeta.None) with { Attempt = attempt });

    internal Event<T> Numbered(int ordinal) => new(Id.Child(ordinal), Data, Key, _time & ~ChildMark, _meta);
}
