using System.Runtime.CompilerServices;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Errors;

namespace Loom.Harness.Streams;

/// <summary>An input whose events can be refused in place of its component, and that keeps what a loop which failed had in hand.</summary>
internal interface IDiverted
{
    /// <summary>Events that were taken once and come again before anything else.</summary>
    int Returned { get; }

    /// <summary>
    /// The next instance is given what came back: an event its loop had begun with counts as one more delivery, and after the third goes to the error destination instead. May be called
    /// again when the destination failed.
    /// </summary>
    /// <param name="component">The reader.</param>
    /// <param name="error">Why its loop failed.</param>
    /// <param name="refuse">Hands on what was delivered often enough.</param>
    ValueTask RedeliverAsync(string component, Exception error, Func<ItemFailure, ValueTask> refuse);

    /// <summary>Takes the next event as a failure, or null when there is none.</summary>
    ItemFailure? TryDivert(string component, Exception error);

    /// <summary>Events that were left out because one of their correlation id had passed: <c>first_wins</c>.</summary>
    long Superseded { get; }
}

/// <summary>A port whose events can be looked at as they are taken.</summary>
internal interface IWatched
{
    /// <summary>Shows every event that is taken; said before the first one.</summary>
    void Watch(Action<Event<JsonElement>> see);
}

/// <summary>One input port: the streams bound to it, merged by its fan-in. Order within each stream is kept.</summary>
internal sealed class InputPort<T>(PortPlan plan, FirstWins? firstWins) : IDiverted, IWatched
{
    // priority: one turn in so many goes to the lower ones.
    private const int LowerTurn = 16;

    /// <summary>How often an event is delivered before it counts as the one that breaks its component.</summary>
    public const int MostDeliveries = 3;

    // What a loop that failed had in hand, in the order it was taken; and whether it had been begun with.
    private readonly LinkedList<(Event<T> Event, bool Begun)> _returned = [];

    private IStreamHead<T>[] _streams = [];

    // The common case: one stream without rules of its own, and no rule of the port to ask.
    private EventStream<T>? _only;
    private int _next;
    private int _turn;
    private Action<Event<JsonElement>>? _watch;

    public PortPlan Plan => plan;

    public long Superseded => firstWins?.Later ?? 0;

    public int Returned => _returned.Count;

    /// <summary>Whether there is one stream, and neither it nor the port has a rule to ask.</summary>
    public bool IsPlain => _streams is [EventStream<T>] && firstWins is null && _watch is null;

    public void Watch(Action<Event<JsonElement>> see)
    {
        _watch = see;
        _only = null; // every event takes the way on which it is seen
    }

    /// <summary>Adds a binding, in the order of declaration; for <c>priority</c> the highest comes first.</summary>
    public void Add(IStreamHead<T> stream)
    {
        _streams = [.. _streams, stream];
        if (plan.FanIn == FanIn.Priority)
        {
            _streams = [.. _streams.OrderByDescending(s => s.Plan.Priority)];
        }

        _only = Plain();
    }

    /// <summary>Takes back an event that was neither handled nor refused, the last one first; it comes again before anything else.</summary>
    public void Return(in Event<T> e, bool begun)
    {
        _returned.AddFirst((e, begun));
        _only = null;
    }

    public async ValueTask RedeliverAsync(string component, Exception error, Func<ItemFailure, ValueTask> refuse)
    {
        for (var at = _returned.First; at is not null;)
        {
            var ((e, begun), next) = (at.Value, at.Next);
            if (begun && e.Attempt >= MostDeliveries)
            {
                await refuse(ItemFailure.Of(component, plan.Name, e, error, e.Attempt)).ConfigureAwait(true);
                _returned.Remove(at);
            }
            else if (begun)
            {
                at.Value = (e.WithAttempt(e.Attempt + 1), false);
            }

            at = next;
        }
    }

    /// <summary>For <c>concatenate</c>: whether a stream must wait for an earlier one to end; null for the other rules, which hold none back.</summary>
    public Func<bool>? HoldsBack(IStreamHead<T> stream) => plan.FanIn != FanIn.Concatenate ? null : () =>
    {
        foreach (var earlier in _streams)
        {
            if (ReferenceEquals(earlier, stream))
            {
                break;
            }

            if (!earlier.IsEnded)
            {
                return true;
            }
        }

        return false;
    };

    /// <summary>Takes the next event by the rule of the fan-in.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryRead(out Event<T> e) => _only is { } only ? only.TryRead(out e) : TryReadMany(out e);

    /// <summary>Takes several events by the rule of the fan-in and says how many.</summary>
    public int Read(Span<Event<T>> into)
    {
        if (_only is { } only)
        {
            return only.Read(into);
        }

        var count = 0;
        while (count < into.Length && TryReadMany(out into[count]))
        {
            count++;
        }

        return count;
    }

    public ItemFailure? TryDivert(string component, Exception error) =>
        TryRead(out var e) ? ItemFailure.Of(component, plan.Name, e, error, e.Attempt) : null;

    /// <summary>Takes the next event where it lies, valid until the next one is taken; false also where several streams are merged, and then it must be read.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTake([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Event<T>[]? slots, out int index)
    {
        if (_only is { } only)
        {
            return only.TryTake(out slots, out index);
        }

        index = 0;
        if (TryTakeReturned(out var e))
        {
            slots = [e];
            return true;
        }

        slots = null;
        return false;
    }

    private EventStream<T>? Plain() => _streams is [EventStream<T> one] && firstWins is null && _watch is null && _returned.Count == 0 ? one : null;

    // It has passed the rules of the port and was shown when it was taken first.
    private bool TryTakeReturned(out Event<T> e)
    {
        if (_returned.First is not { } first)
        {
            Unsafe.SkipInit(out e);
            return false;
        }

        e = first.Value.Event;
        _returned.RemoveFirst();
        _only = Plain();
        return true;
    }

    private bool TryReadMany(out Event<T> e)
    {
        if (TryTakeReturned(out e))
        {
            return true;
        }

        while (true)
        {
            var read = plan.FanIn switch
            {
                FanIn.Priority => TryReadPriority(out e),
                FanIn.Concatenate => TryReadInOrder(out e),
                _ => TryReadInTurn(out e),
            };
            if (!read || firstWins is null || firstWins.Passes(e.Key ?? e.Id.ToString()))
            {
                if (read)
                {
                    _watch?.Invoke(e.With(PayloadJson.Of(e.Data)));
                }

                return read;
            }
        }
    }

    private bool TryReadInTurn(out Event<T> e)
    {
        for (var i = 0; i < _streams.Length; i++)
        {
            var at = _next;
            _next = _next + 1 == _streams.Length ? 0 : _next + 1;
            if (_streams[at].TryRead(out e))
            {
                return true;
            }
        }

        Unsafe.SkipInit(out e);
        return false;
    }

    private bool TryReadPriority(out Event<T> e)
    {
        // Starting behind the first group lets the others have their turn; they start where they stopped, so all of them get one.
        var lower = ++_turn % LowerTurn == 0;
        if (lower)
        {
            var top = _streams[0].Plan.Priority;
            for (var i = 0; i < _streams.Length; i++)
            {
                _next = _next + 1 >= _streams.Length ? 0 : _next + 1;
                if (_streams[_next].Plan.Priority != top && _streams[_next].TryRead(out e))
                {
                    return true;
                }
            }
        }

        foreach (var stream in _streams)
        {
            if (stream.TryRead(out e))
            {
                return true;
            }
        }

        Unsafe.SkipInit(out e);
        return false;
    }

    // A stream at a barrier holds its place: the next one is read only when it has ended.
    private bool TryReadInOrder(out Event<T> e)
    {
        while (_next < _streams.Length)
        {
            if (_streams[_next].TryRead(out e))
            {
                return true;
            }

            if (!_streams[_next].IsEnded)
            {
                break;
            }

            _next++;
        }

        Unsafe.SkipInit(out e);
        return false;
    }
}
