using System.Collections;

namespace Loom.Components;

/// <summary>
/// Takes what a handler makes of one event. Everything sent is held until the handler has succeeded and is then released in order, all or
/// none, so an attempt that fails leaves nothing behind. Past <see cref="HeldLimit"/> events the held ones are released early, and the item is
/// not retried from then on. Used by one handler at a time; enumerating it shows what is held, which is how a component is tested alone.
/// </summary>
/// <typeparam name="T">Payload of the output.</typeparam>
public sealed class Emitter<T> : IReadOnlyList<Event<T>>
{
    /// <summary>Events held for one item before they are released early.</summary>
    public const int HeldLimit = 10_000;

    private const int UsedAgain = 4;

    private readonly IReadOnlyList<string> _ports;
    private Event<T>[] _events = new Event<T>[4];
    private int[]? _portOf;
    private EventId _parent;
    private int _ordinal;

    /// <summary>An emitter for one output port named <c>out</c>.</summary>
    public Emitter()
        : this(["out"])
    {
    }

    /// <param name="ports">Names of the output ports; the first is the one <see cref="SendAsync(Event{T}, CancellationToken)"/> means.</param>
    public Emitter(IReadOnlyList<string> ports) => _ports = ports;

    /// <summary>How many events are held.</summary>
    public int Count { get; private set; }

    /// <summary>A held event, in the order it was sent.</summary>
    public Event<T> this[int index] => index < Count ? _events[index] : throw new ArgumentOutOfRangeException(nameof(index));

    // Who takes the held events when there are too many; returns when they are passed on.
    internal Func<Emitter<T>, CancellationToken, ValueTask>? Release { get; set; }

    internal bool ReleasedEarly { get; set; }

    internal ReadOnlySpan<Event<T>> Held => _events.AsSpan(0, Count);

    /// <summary>Sends one event to the first output port.</summary>
    public ValueTask SendAsync(Event<T> e, CancellationToken ct = default) => Hold(0, e, ct);

    /// <summary>Sends one event to the named output port.</summary>
    /// <exception cref="ItemException">There is no such port: <c>unrouted</c>.</exception>
    public ValueTask SendAsync(string port, Event<T> e, CancellationToken ct = default)
    {
        for (var i = 0; i < _ports.Count; i++)
        {
            if (string.Equals(_ports[i], port, StringComparison.Ordinal))
            {
                return Hold(i, e, ct);
            }
        }

        throw new ItemException("unrouted", $"there is no output port \"{port}\" (outputs: {string.Join(", ", _ports)})");
    }

    /// <summary>The port a held event was sent to.</summary>
    public string PortOf(int index) => _ports[PortIndexOf(index)];

    /// <inheritdoc />
    public IEnumerator<Event<T>> GetEnumerator()
    {
        for (var i = 0; i < Count; i++)
        {
            yield return _events[i];
        }
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    internal int PortIndexOf(int index) => _portOf is null ? 0 : _portOf[index];

    /// <summary>Forgets what is held, for the next attempt or the next item.</summary>
    internal void Clear()
    {
        // The few slots that every item uses again are not cleared: they keep at most so many payloads a little longer.
        if (Count > UsedAgain)
        {
            Array.Clear(_events, 0, Count);
        }

        Count = 0;
        if (_ordinal > 0)
        {
            _parent = default;
            _ordinal = 0;
        }
    }

    /// <summary>Drops the held events after they were passed on, within one item: ordinals go on.</summary>
    internal void Passed()
    {
        Array.Clear(_events, 0, Count);
        Count = 0;
    }

    private ValueTask Hold(int port, in Event<T> e, CancellationToken ct)
    {
        if (Count == _events.Length)
        {
            Grow();
        }

        _events[Count] = e.AwaitsOrdinal ? Number(e) : e;
        if (port != 0 || _portOf is not null)
        {
            _portOf ??= new int[_events.Length];
            _portOf[Count] = port;
        }

        Count++;
        return Count >= HeldLimit && Release is not null ? Release(this, ct) : default;
    }

    // Siblings are counted by parent; a handler of several events in one call starts again at each new parent.
    private Event<T> Number(in Event<T> e)
    {
        if (e.Id != _parent)
        {
            _parent = e.Id;
            _ordinal = 0;
        }

        return e.Numbered(_ordinal++);
    }

    private void Grow()
    {
        Array.Resize(ref _events, _events.Length * 2);
        if (_portOf is not null)
        {
            Array.Resize(ref _portOf, _events.Length);
        }
    }
}
