using System.Runtime.CompilerServices;
using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Streams;

/// <summary>What the writing side of any stream can be told, whatever it carries.</summary>
internal interface IStreamEnd
{
    BindingPlan Plan { get; }

    StreamSnapshot Snapshot();

    /// <summary>No more will be written.</summary>
    void Complete();

    /// <summary>Puts a barrier behind everything written so far.</summary>
    void Mark(CheckpointBarrier barrier);

    /// <summary>Makes sure that a waiting reader sees what was written.</summary>
    void Flush();

    /// <summary>Copies what is written from now on to the side, one event in <paramref name="sample"/>; the stream is never held up by it.</summary>
    IStreamTap Tap(int sample);
}

/// <summary>The writing side of a stream of a known payload.</summary>
internal interface IStreamTail<T> : IStreamEnd
{
    /// <summary>Writes one event if the stream takes it now.</summary>
    bool TryWrite(in Event<T> e);

    /// <summary>Waits until the stream may take the event.</summary>
    ValueTask WaitForRoomAsync(Event<T> e, CancellationToken ct);

    /// <summary>Counts an event that never entered, because overflow said so.</summary>
    void CountDropped();
}

/// <summary>
/// A bounded first-in first-out stream between one writer and one reader. Events lie in a chain of pooled segments; each side keeps its place to
/// itself and publishes a count, so a step costs no lock and no allocation. <c>depth ≤ buffer</c> holds always.
/// </summary>
/// <remarks>
/// A busy reader sees writes in runs, so that the two sides do not pass a cache line to and fro for every event; a reader about to wait sees what has been written up to
/// then. <see cref="TryWrite"/> wakes a reader it can see waiting; only <see cref="Flush"/> puts the fence that makes sure of it, so a writer flushes before it waits
/// for anything else, and after its last event of a run.
/// </remarks>
internal sealed class EventStream<T> : IStreamTail<T>, IStreamHead<T>
{
    // Events a writer adds before it lets a busy reader know.
    private const int Run = 16;

    private readonly TimeProvider _time;
    private readonly long _capacity;
    private readonly long _wakeAt;
    private readonly int _segmentSize;
    private readonly long _publishMask;
    private readonly bool _sized = PayloadSize<T>.IsKnown;
    private readonly Lock _marksLock = new();
    private readonly Queue<(long At, CheckpointBarrier Barrier)> _marks = [];

    // What each side keeps to itself, and what it publishes, lies on cache lines of its own.
    private WriterSide<T> _w;
    private ReaderSide<T> _r;
    private Padded _published;
    private Padded _consumed;
    private long _markAt = long.MaxValue;
    private volatile bool _completed;

    // Null while nobody looks: a stream without a tap pays one comparison.
    private volatile StreamTap<T>[]? _taps;

    // The first segment of a chain is handed over here, since there is no earlier one to point to it.
    private Segment<T>? _first;

    // A small stream's read segment on its way back to the writer.
    private Segment<T>? _spare;

    public EventStream(BindingPlan plan, Signal reader, Signal writer, TimeProvider time)
    {
        Plan = plan;
        Reader = reader;
        Writer = writer;
        _time = time;
        _capacity = plan.Buffer;
        _wakeAt = Math.Clamp(_capacity / 4, 1, Segment<T>.Largest);
        _publishMask = _capacity switch { >= 4 * Run => Run - 1, >= 8 => 1, _ => 0 };
        _segmentSize = (int)Math.Min(_capacity, Segment<T>.Largest);
        _r.ProgressAt = time.GetTimestamp();
    }

    public BindingPlan Plan { get; }

    /// <summary>Wakes the reading component.</summary>
    public Signal Reader { get; }

    /// <summary>Wakes the writing component.</summary>
    public Signal Writer { get; }

    /// <summary>Whether the reader stands at a barrier.</summary>
    public bool AtMark => Volatile.Read(ref _markAt) == _r.Read;

    public long MarkNumber
    {
        get
        {
            lock (_marksLock)
            {
                return AtMark && _marks.TryPeek(out var mark) ? mark.Barrier.Number : 0;
            }
        }
    }

    /// <summary>Whether everything has been read and no more will come; for the reader.</summary>
    public bool IsEnded => _completed && Volatile.Read(ref _published.Value) == _r.Read && !AtMark;

    /// <summary>Events in the stream, seen from anywhere.</summary>
    public long Depth
    {
        get
        {
            var consumed = Volatile.Read(ref _consumed.Value);
            return Math.Max(0, Published(consumed) - consumed);
        }
    }

    /// <summary>Writes one event if there is room.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryWrite(in Event<T> e)
    {
        if (_w.Written - _w.ConsumedSeen >= _capacity && IsFull())
        {
            return false;
        }

        if (_sized)
        {
            var size = PayloadSize<T>.Of(e.Data);
            if (!HasRoomFor(size))
            {
                return false;
            }

            Volatile.Write(ref _w.BytesIn, _w.BytesIn + size);
        }

        var tail = _w.Tail;
        if (tail is null || _w.Index == tail.Slots.Length)
        {
            tail = AddSegment();
        }

        tail.Slots[_w.Index++] = e;
        if (_taps is not null)
        {
            CopyToTaps(e);
        }

        Volatile.Write(ref _w.Written, _w.Written + 1);
        if ((_w.Written & _publishMask) == 0 || Reader.IsArmed)
        {
            Publish();
        }

        return true;
    }

    /// <summary>Writes as many events as there is room for, in order, and says how many.</summary>
    public int Write(ReadOnlySpan<Event<T>> events)
    {
        if (_sized || _taps is not null)
        {
            var count = 0;
            while (count < events.Length && TryWrite(events[count]))
            {
                count++;
            }

            return count;
        }

        var room = _capacity - (_w.Written - _w.ConsumedSeen);
        if (room < events.Length)
        {
            IsFull();
            room = _capacity - (_w.Written - _w.ConsumedSeen);
        }

        var writable = (int)Math.Min(room, events.Length);
        for (var done = 0; done < writable;)
        {
            var tail = _w.Tail;
            if (tail is null || _w.Index == tail.Slots.Length)
            {
                tail = AddSegment();
            }

            var part = Math.Min(writable - done, tail.Slots.Length - _w.Index);
            events.Slice(done, part).CopyTo(tail.Slots.AsSpan(_w.Index));
            _w.Index += part;
            done += part;
            Volatile.Write(ref _w.Written, _w.Written + part);
        }

        if (writable > 0)
        {
            Publish();
        }

        return writable;
    }

    /// <summary>Takes as many events as there are before the next barrier and says how many.</summary>
    public int Read(Span<Event<T>> into)
    {
        var count = 0;
        if (_sized)
        {
            while (count < into.Length && TryRead(out into[count]))
            {
                count++;
            }

            return count;
        }

        while (count < into.Length && (_r.Read != _r.Readable || FindReadable()))
        {
            var head = _r.Head;
            if (head is null || _r.Index == head.Slots.Length)
            {
                head = NextSegment();
            }

            var part = (int)Math.Min(Math.Min(into.Length - count, head.Slots.Length - _r.Index), _r.Readable - _r.Read);
            head.Slots.AsSpan(_r.Index, part).CopyTo(into[count..]);
            _r.Index += part;
            count += part;
            Volatile.Write(ref _consumed.Value, _r.Read += part);
        }

        if (count > 0 && Writer.IsArmed)
        {
            Writer.Set();
        }

        return count;
    }

    /// <summary>Makes sure that a reader that is about to wait sees what was written.</summary>
    public void Flush()
    {
        Volatile.Write(ref _published.Value, _w.Written);
        Interlocked.MemoryBarrier();
        if (Reader.IsArmed && _w.Written >= Volatile.Read(ref _r.WakeAt))
        {
            Reader.Set();
        }
    }

    /// <summary>For a writer that found the stream full: arm, look again, wait.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WaitForRoomAsync(Event<T> e, CancellationToken ct)
    {
        var size = _sized ? PayloadSize<T>.Of(e.Data) : 0;
        Volatile.Write(ref _w.BlockedSince, _time.GetTimestamp());
        Volatile.Write(ref _w.BlockedWith, size + 1);

        // Full: the reader gets what there is, however much it waits for.
        Wake();
        try
        {
            while (true)
            {
                ct.ThrowIfCancellationRequested();
                Writer.Arm();
                if ((!IsFull() && HasRoomFor(size)) || ct.IsCancellationRequested)
                {
                    if (!Writer.Disarm())
                    {
                        await Writer.WaitAsync().ConfigureAwait(true);
                    }

                    ct.ThrowIfCancellationRequested();
                    return;
                }

                await Writer.WaitAsync().ConfigureAwait(true);
            }
        }
        finally
        {
            Volatile.Write(ref _w.BlockedWith, 0);
            Interlocked.Add(ref _w.BlockedTicks, _time.GetTimestamp() - _w.BlockedSince);
            Volatile.Write(ref _w.BlockedSince, 0);
        }
    }

    /// <summary>Takes the next event, if there is one before the next barrier.</summary>
    public bool TryRead(out Event<T> e)
    {
        if (!TryTake(out var slots, out var index))
        {
            Unsafe.SkipInit(out e);
            return false;
        }

        e = slots[index];
        return true;
    }

    /// <summary>Takes the next event where it lies: it stays there until the reader takes another or waits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTake([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out Event<T>[]? slots, out int index)
    {
        if (_r.Read == _r.Readable && !FindReadable())
        {
            slots = null;
            index = 0;
            return false;
        }

        var head = _r.Head;
        if (head is null || _r.Index == head.Slots.Length)
        {
            head = NextSegment();
        }

        slots = head.Slots;
        index = _r.Index++;
        if (_sized)
        {
            Volatile.Write(ref _r.BytesOut, _r.BytesOut + PayloadSize<T>.Of(slots[index].Data));
        }

        Volatile.Write(ref _consumed.Value, ++_r.Read);
        if (Writer.IsArmed && (_w.Written - _r.Read <= _capacity - _wakeAt || _r.Read == _r.Readable))
        {
            Writer.Set();
        }

        return true;
    }

    /// <summary>Whether <see cref="TryRead"/> would give an event.</summary>
    public bool CanRead() => _r.Read != _r.Readable || FindReadable();

    /// <summary>Takes the barrier the reader stands at.</summary>
    public bool TryTakeMark([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out CheckpointBarrier? barrier)
    {
        barrier = null;
        if (!AtMark)
        {
            return false;
        }

        lock (_marksLock)
        {
            barrier = _marks.Dequeue().Barrier;
            Volatile.Write(ref _markAt, _marks.TryPeek(out var next) ? next.At : long.MaxValue);
        }

        return true;
    }

    /// <summary>Whether there are at least so many events, or no more will come before a barrier or the end.</summary>
    public bool CanRead(int wanted)
    {
        FindReadable();
        return _r.Readable - _r.Read >= Math.Min(wanted, _capacity) || (_r.Readable > _r.Read && (_completed || _r.Readable == Volatile.Read(ref _markAt) || IsFullByBytes()));
    }

    // A writer that stands still brings no more, far from the events that were asked for.
    private bool IsFullByBytes() => _sized && Volatile.Read(ref _w.BlockedWith) is > 0 and var with && !HasRoomFor(with - 1);

    /// <summary>The reader is about to wait: gives back what it no longer needs and lets a waiting writer know of the room. The reader's signal is armed by now.</summary>
    public void BeforeWait(int wanted)
    {
        // A writer that does not see it yet wakes too early; only where it shrinks it could wake too late.
        var wakeAt = _r.Read + Math.Min(wanted, _capacity);
        var shrinks = wakeAt < _r.WakeAt;
        Volatile.Write(ref _r.WakeAt, wakeAt);
        if (shrinks)
        {
            Interlocked.MemoryBarrier();
        }

        _r.Seen = Volatile.Read(ref _w.Written);
        if (_r.Head is not null && _r.Index > _r.Cleared)
        {
            Array.Clear(_r.Head.Slots, _r.Cleared, _r.Index - _r.Cleared);
            _r.Cleared = _r.Index;
        }

        if (Writer.IsArmed)
        {
            Writer.Set();
        }

        if (!_completed)
        {
            Volatile.Write(ref _r.StarvedSince, _time.GetTimestamp());
        }
    }

    public void AfterWait()
    {
        var since = _r.StarvedSince;
        if (since != 0)
        {
            Interlocked.Add(ref _r.StarvedTicks, _time.GetTimestamp() - since);
            Volatile.Write(ref _r.StarvedSince, 0);
        }
    }

    public void Complete()
    {
        Volatile.Write(ref _published.Value, _w.Written);
        _completed = true;
        Wake();
    }

    public void Mark(CheckpointBarrier barrier)
    {
        lock (_marksLock)
        {
            _marks.Enqueue((_w.Written, barrier));
            if (_marks.Count == 1)
            {
                Volatile.Write(ref _markAt, _w.Written);
            }
        }

        Wake();
    }

    public IStreamTap Tap(int sample)
    {
        var tap = new StreamTap<T>(sample, _time, Untap);
        lock (_marksLock)
        {
            _taps = [.. _taps ?? [], tap];
        }

        return tap;
    }

    /// <summary>Counts an event that never entered, because overflow said so.</summary>
    public void CountDropped() => Interlocked.Increment(ref _w.Dropped);

    public StreamSnapshot Snapshot()
    {
        var now = _time.GetTimestamp();
        var read = Volatile.Read(ref _consumed.Value);
        var written = Math.Max(read, Published(read));
        var oldest = written > read ? Volatile.Read(ref _r.Head)?.Since ?? Volatile.Read(ref _first)?.Since ?? now : now;
        return new StreamSnapshot(
            Plan.Name,
            $"{Plan.FromComponent}.{Plan.FromPort}",
            $"{Plan.ToComponent}.{Plan.ToPort}",
            written - read,
            _capacity,
            _sized ? Math.Max(0, Volatile.Read(ref _w.BytesIn) - Volatile.Read(ref _r.BytesOut)) : 0,
            written,
            read,
            Interlocked.Read(ref _w.Dropped),
            _time.GetElapsedTime(oldest, now),
            _time.GetElapsedTime(Volatile.Read(ref _r.ProgressAt), now),
            Span(Interlocked.Read(ref _w.BlockedTicks), Volatile.Read(ref _w.BlockedSince), now),
            Span(Interlocked.Read(ref _r.StarvedTicks), Volatile.Read(ref _r.StarvedSince), now),
            _completed);
    }

    // What can have been published when so many had been consumed: both counts go on between the two looks of whoever watches.
    private long Published(long consumed) => Math.Min(Volatile.Read(ref _w.Written), consumed + _capacity);

    private TimeSpan Span(long ticks, long since, long now) => _time.GetElapsedTime(0, ticks + (since == 0 ? 0 : Math.Max(0, now - since)));

    private void CopyToTaps(in Event<T> e)
    {
        foreach (var tap in _taps ?? [])
        {
            tap.Offer(e);
        }
    }

    private void Untap(StreamTap<T> tap)
    {
        lock (_marksLock)
        {
            StreamTap<T>[] left = [.. (_taps ?? []).Where(t => t != tap)];
            _taps = left.Length == 0 ? null : left;
        }
    }

    // What was written becomes visible to a reader that is not waiting, and one that waits is woken when there is enough for it.
    private void Publish()
    {
        Volatile.Write(ref _published.Value, _w.Written);
        if (Reader.IsArmed && _w.Written >= Volatile.Read(ref _r.WakeAt))
        {
            Reader.Set();
        }
    }

    private void Wake()
    {
        Volatile.Write(ref _published.Value, _w.Written);
        Interlocked.MemoryBarrier();
        if (Reader.IsArmed)
        {
            Reader.Set();
        }
    }

    private bool IsFull()
    {
        _w.ConsumedSeen = Volatile.Read(ref _consumed.Value);
        return _w.Written - _w.ConsumedSeen >= _capacity;
    }

    // An event larger than the whole allowance passes alone.
    private bool HasRoomFor(long size)
    {
        var held = Volatile.Read(ref _w.BytesIn) - Volatile.Read(ref _r.BytesOut);
        return held <= 0 || held + size <= Plan.BufferBytes;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Segment<T> AddSegment()
    {
        var segment = _segmentSize == Segment<T>.Largest ? SegmentPool<T>.Rent() : Interlocked.Exchange(ref _spare, null) ?? new Segment<T>(_segmentSize);
        segment.Since = _time.GetTimestamp();
        if (_w.Tail is null)
        {
            Volatile.Write(ref _first, segment);
        }
        else
        {
            Volatile.Write(ref _w.Tail.Next, segment);
        }

        _w.Tail = segment;
        _w.Index = 0;
        return segment;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Segment<T> NextSegment()
    {
        var before = _r.Head;
        Volatile.Write(ref _r.Head, before is null ? Volatile.Read(ref _first)! : Volatile.Read(ref before.Next)!);
        _r.Index = 0;
        Volatile.Write(ref _r.ProgressAt, _time.GetTimestamp());
        if (before is null)
        {
            Volatile.Write(ref _first, null);
        }
        else
        {
            before.Clear(_r.Cleared);
            if (_segmentSize == Segment<T>.Largest)
            {
                SegmentPool<T>.Return(before);
            }
            else
            {
                Interlocked.Exchange(ref _spare, before);
            }
        }

        _r.Cleared = 0;
        return _r.Head!;
    }

    // A barrier is put in its place before later events are published, so it is seen by whoever sees them.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool FindReadable()
    {
        var published = Math.Max(Volatile.Read(ref _published.Value), _r.Seen);
        _r.Readable = Math.Min(published, Volatile.Read(ref _markAt));
        return _r.Read < _r.Readable;
    }
}
