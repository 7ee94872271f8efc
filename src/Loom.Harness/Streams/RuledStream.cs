using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Errors;
using Loom.Harness.Streams.Spills;

namespace Loom.Harness.Streams;

/// <summary>
/// A stream whose binding has rules of its own: events that grow too old, that displace older ones, that wait on disk, or that are sent only when asked for. One lock guards it: slower than
/// <see cref="EventStream{T}"/>, and only what asks for a rule pays for it. One writer and one reader, and barriers keep their place among the events, as there.
/// </summary>
internal sealed class RuledStream<T> : IStreamTail<T>, IStreamHead<T>, IFeedbackStream
{
    private static readonly Dictionary<string, long> s_noOffsets = [];

    private readonly Lock _lock = new();
    private readonly StreamRules _rules;
    private readonly Spill<T>? _spill;
    private readonly FeedbackLoop? _loop;
    private readonly LoopPlace _place;
    private readonly FeedbackRecorder<T>? _recorder;
    private readonly Signal _reader;
    private readonly Signal _writer;
    private readonly TimeProvider _time;
    private readonly StreamClock _clock;
    private readonly long _capacity;
    private readonly bool _sized = PayloadSize<T>.IsKnown;

    private readonly Queue<Held<T>> _events = [];
    private readonly Queue<(long At, CheckpointBarrier Barrier)> _marks = [];
    private readonly Queue<Held<T>> _displaced = [];
    private StreamTap<T>[] _taps = [];
    private long _bytes;
    private long _written;
    private long _read;
    private long _dropped;
    private bool _demand;
    private bool _completed;
    private bool _told;
    private (bool Is, Event<T> With) _blocked;

    /// <param name="plan">The binding.</param>
    /// <param name="rules">What it asks for.</param>
    /// <param name="spill">Where events wait that memory does not hold; null where they may not.</param>
    /// <param name="reader">Wakes the reading component.</param>
    /// <param name="writer">Wakes the writing component.</param>
    /// <param name="time">Clock.</param>
    public RuledStream(BindingPlan plan, StreamRules rules, Spill<T>? spill, Signal reader, Signal writer, TimeProvider time)
    {
        (Plan, _rules, _spill, _reader, _writer, _time) = (plan, rules, spill, reader, writer, time);
        _clock = new StreamClock(time);
        _loop = rules.Loop?.Loop;
        _place = rules.Loop?.Place ?? LoopPlace.Inner;
        if (_loop is not null && _place == LoopPlace.Back)
        {
            _capacity = _loop.MaxInFlight;
            _recorder = new FeedbackRecorder<T>((barrier, state) => rules.Checkpoints?.Parts.Passed(PartName, barrier, s_noOffsets, state));
            _loop.AtEnd(EndLoop);
            return;
        }

        _capacity = rules.Pull ? 1 : plan.Buffer;
        if (_place == LoopPlace.Entry)
        {
            _loop?.AddEntry(reader);
        }
    }

    public BindingPlan Plan { get; }

    public string PartName => _rules.Checkpoints?.Name ?? Plan.Name;

    /// <summary>Whether something else comes before the next event of this stream.</summary>
    public Func<bool> YieldsTo { get; set; } = static () => false;

    public bool AtMark
    {
        get
        {
            lock (_lock)
            {
                return StandsAtMark();
            }
        }
    }

    public bool IsEnded
    {
        get
        {
            lock (_lock)
            {
                return _recorder is not null ? _loop!.IsOver : _completed && _written == _read && _marks.Count == 0;
            }
        }
    }

    public bool TryWrite(in Event<T> e)
    {
        lock (_lock)
        {
            if (_recorder is not null && _loop!.IsOver)
            {
                return false;
            }

            if (!Admit(e))
            {
                return false;
            }

            _written++;
            if (_place != LoopPlace.Entry)
            {
                _loop?.Wrote();
            }

            _demand = false;
            foreach (var tap in _taps)
            {
                tap.Offer(e);
            }
        }

        WakeReader();
        return true;
    }

    public async ValueTask WaitForRoomAsync(Event<T> e, CancellationToken ct)
    {
        // What was displaced goes first: the writer waits for its place among the dead letters, never for the reader.
        while (NextDisplaced() is { } displaced)
        {
            await _rules.Displaced().TakeAsync(displaced, ct).ConfigureAwait(true);
        }

        SetBlocked((true, e));
        WakeReader();
        try
        {
            using var blocked = _clock.Block();
            while (true)
            {
                ct.ThrowIfCancellationRequested();
                _writer.Arm();
                if (MayAdmit(e) || ct.IsCancellationRequested)
                {
                    if (!_writer.Disarm())
                    {
                        await _writer.WaitAsync().ConfigureAwait(true);
                    }

                    ct.ThrowIfCancellationRequested();
                    return;
                }

                await _writer.WaitAsync().ConfigureAwait(true);
            }
        }
        finally
        {
            SetBlocked(default);
        }
    }

    public bool TryRead(out Event<T> e)
    {
        var taken = false;
        e = default;
        if (YieldsTo())
        {
            return false;
        }

        lock (_lock)
        {
            if (Expire())
            {
                taken = TryTake(out e);
            }

            _demand |= !taken && _rules.Pull && _written == _read;
        }

        if (_writer.IsArmed)
        {
            _writer.Set();
        }

        if (taken)
        {
            _loop?.Look();
        }

        return taken;
    }

    public bool CanRead() => CanRead(1);

    public bool CanRead(int wanted)
    {
        bool can;
        lock (_lock)
        {
            // First of all: a barrier that has gone round a loop is taken by looking, whether or not an event follows.
            can = !StandsAtMark() && Expire() && !StandsAtMark() && _written > _read && (_place != LoopPlace.Entry || _loop is null || _loop.MayAdmit());
            if (can && wanted > 1)
            {
                var readable = (_marks.TryPeek(out var mark) ? Math.Min(mark.At, _written) : _written) - _read;
                // A writer that stands still brings no more: full by bytes, by what lies on disk or by a refusal, far from the events that were asked for.
                can = readable >= Math.Min(wanted, _capacity) || _completed || _marks.Count > 0 || (_blocked.Is && !Fits(_blocked.With));
            }

            _demand |= _rules.Pull && _written == _read;
        }

        if (!can && _rules.Pull && _writer.IsArmed)
        {
            _writer.Set();
        }

        return can;
    }

    public long MarkNumber
    {
        get
        {
            lock (_lock)
            {
                return StandsAtMark() ? _marks.Peek().Barrier.Number : 0;
            }
        }
    }

    public bool TryTakeMark([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out CheckpointBarrier? barrier)
    {
        lock (_lock)
        {
            barrier = StandsAtMark() ? _marks.Dequeue().Barrier : null;
            return barrier is not null;
        }
    }

    public void BeforeWait(int wanted)
    {
        if (_writer.IsArmed)
        {
            _writer.Set();
        }

        if (!Volatile.Read(ref _completed))
        {
            _clock.Starve();
        }

        if (_loop is not null)
        {
            TellEnd();
            _loop.Look();
        }
    }

    public void AfterWait() => _clock.Fed();

    public void Complete()
    {
        lock (_lock)
        {
            _completed = true;
        }

        WakeReader();
    }

    public void Record(CheckpointBarrier barrier)
    {
        lock (_lock)
        {
            _recorder!.Begin(barrier);
        }
    }

    public async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        foreach (var e in await FeedbackRecorder<T>.ReadAsync(state.Content, ct).ConfigureAwait(false))
        {
            lock (_lock)
            {
                _events.Enqueue(new Held<T>(e, _time.GetTimestamp()));
                _bytes += SizeOf(e);
                _written++;
                _loop!.Wrote();
            }
        }
    }

    public void Mark(CheckpointBarrier barrier)
    {
        if (_rules.IgnoresBarriers)
        {
            return;
        }

        lock (_lock)
        {
            _marks.Enqueue((_written, barrier));
        }

        WakeReader();
    }

    public void Flush() => WakeReader();

    public IStreamTap Tap(int sample)
    {
        var tap = new StreamTap<T>(sample, _time, left =>
        {
            lock (_lock)
            {
                _taps = [.. _taps.Where(t => t != left)];
            }
        });
        lock (_lock)
        {
            _taps = [.. _taps, tap];
        }

        return tap;
    }

    public void CountDropped()
    {
        lock (_lock)
        {
            _dropped++;
        }
    }

    public StreamSnapshot Snapshot()
    {
        lock (_lock)
        {
            var oldest = _events.TryPeek(out var first) ? first.At : _spill?.OldestAt;
            return _clock.Snapshot(Plan, oldest) with
            {
                Depth = _written - _read, Capacity = _capacity, Bytes = _bytes, In = _written, Out = _read, Dropped = _dropped, Ended = _completed,
                Spilled = _spill?.Count ?? 0, Trouble = _spill?.Trouble,
            };
        }
    }

    // Under the lock: takes the event in, wherever there is a place for it.
    private bool Admit(in Event<T> e)
    {
        var held = new Held<T>(e, _time.GetTimestamp());
        if (HasRoom(e))
        {
            _events.Enqueue(held);
            _bytes += SizeOf(e);
            return true;
        }

        if (_spill is not null)
        {
            return _spill.TryAppend(held);
        }

        if (_rules.DropOldest)
        {
            while (!HasRoom(e) && _events.TryDequeue(out var oldest))
            {
                _bytes -= SizeOf(oldest.Event);
                _read++;
                _dropped++;
                LetGo(_place == LoopPlace.Entry ? 0 : 1);
                _displaced.Enqueue(oldest);
            }
        }

        return false;
    }

    private bool MayAdmit(in Event<T> e)
    {
        lock (_lock)
        {
            return Fits(e);
        }
    }

    private void SetBlocked((bool Is, Event<T> With) blocked)
    {
        lock (_lock)
        {
            _blocked = blocked;
        }
    }

    private bool Fits(in Event<T> e) => HasRoom(e) || _spill is { HasRoom: true };

    private bool HasRoom(in Event<T> e) =>
        _events.Count < _capacity && _spill is not { Count: > 0 } && (_recorder is not null || ((_events.Count == 0 || _bytes + SizeOf(e) <= Plan.BufferBytes) && (!_rules.Pull || _demand)));

    // A barrier stands before the event it was written before, also when that one was displaced since. One that has gone round a loop holds nobody up: what it was behind is recorded.
    private bool StandsAtMark()
    {
        while (_marks.TryPeek(out var mark) && mark.At <= _read)
        {
            if (_recorder is null)
            {
                return true;
            }

            _marks.Dequeue();
            _recorder.End(mark.Barrier);
        }

        return false;
    }

    private bool TryTake(out Event<T> e)
    {
        e = default;
        if (StandsAtMark() || (_place == LoopPlace.Entry && _loop is not null && (_written == _read || !_loop.TryAdmit())))
        {
            return false;
        }

        if (!TryTakeHeld(out var held))
        {
            // Admitted, and it turned out to be damaged.
            LetGo(_place == LoopPlace.Entry ? 1 : 0);
            return false;
        }

        e = held.Event;
        _recorder?.Add(e);
        _clock.Progress();
        return true;
    }

    private bool TryTakeHeld(out Held<T> held)
    {
        if (_events.TryDequeue(out held))
        {
            _bytes -= SizeOf(held.Event);
            _read++;
            return true;
        }

        if (_spill is null)
        {
            return false;
        }

        while (_spill.TryTake(out held, out var damage))
        {
            if (damage is null)
            {
                _read++;
                return true;
            }

            _read += damage.Events;
            _dropped += damage.Events;
            LetGo(_place == LoopPlace.Entry ? 0 : damage.Events);
            _rules.Refused.Add(damage.AsFailure(Plan, _time.GetUtcNow()));
            if (StandsAtMark())
            {
                break;
            }
        }

        return false;
    }

    // Events that stayed too long leave the stream before the next one is looked at; false while there is no place to put them.
    private bool Expire()
    {
        if (_rules.TimeToLive is not { } most)
        {
            return true;
        }

        while (!StandsAtMark() && (_events.TryPeek(out var first) ? first.At : _spill?.OldestAt) is { } at && _time.GetElapsedTime(at) > most)
        {
            if (_rules.Refused.IsFull)
            {
                return false;
            }

            if (TryTakeHeld(out var old))
            {
                _dropped++;
                LetGo(_place == LoopPlace.Entry ? 0 : 1);
                var error = new ItemException("expired", $"the event stayed longer than ttl_ms {most.TotalMilliseconds:F0} in stream \"{Plan.Name}\"");
                _rules.Refused.Add(ItemFailure.Of(Plan.ToComponent, Plan.ToPort, old.Event, error, old.Event.Attempt));
            }
        }

        return true;
    }

    // Events of a loop that nobody will handle.
    private void LetGo(long events)
    {
        if (events > 0)
        {
            _loop?.Lost(events);
        }
    }

    // For the reader: nothing comes in from here any more.
    private void TellEnd()
    {
        lock (_lock)
        {
            if (_place != LoopPlace.Entry || _told || !_completed || _written != _read)
            {
                return;
            }

            _told = true;
        }

        _loop!.EntryEnded();
    }

    private void EndLoop()
    {
        lock (_lock)
        {
            _recorder!.EndAll();
        }

        _rules.Checkpoints?.Parts.Ended(PartName, s_noOffsets, null);
        _reader.Set();
    }

    private ItemFailure? NextDisplaced()
    {
        lock (_lock)
        {
            if (!_displaced.TryDequeue(out var oldest))
            {
                return null;
            }

            var error = new ItemException("overflow", $"stream \"{Plan.Name}\" is full ({Plan.Buffer} events) and its overflow is drop_oldest");
            return ItemFailure.Of(Plan.ToComponent, Plan.ToPort, oldest.Event, error, oldest.Event.Attempt);
        }
    }

    private long SizeOf(in Event<T> e) => _sized ? PayloadSize<T>.Of(e.Data) : 0;

    // The lock stands between the change and this look: a reader that armed before it is seen, one that arms later sees the change.
    private void WakeReader()
    {
        if (_reader.IsArmed)
        {
            _reader.Set();
        }
    }
}
