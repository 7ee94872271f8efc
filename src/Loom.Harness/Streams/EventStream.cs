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

/// <summary>
/// A bounded first-in first-out stream between one writer and one reader. Events lie in a chain of pooled segments; each side keeps its place to
/// itself and publishes a count, so a step costs no lock and no allocation. <c>depth ≤ buffer</c> holds always.
/// </summary>
/// <remarks>
/// A write is visible at once. <see cref="TryWrite"/> wakes a reader it can see waiting; only <see cref="Flush"/> puts the fence that makes sure of it, so
/// a writer flushes before it waits for anything else, and after its last event of a run.
/// </remarks>
internal sealed class EventStream<T> : IStreamEnd, IStreamHead
{
    private readonly TimeProvider _time;
    private readonly long _capacity;
    private readonly long _wakeAt;
    private readonly int _segmentSize;
    private readonly bool _sized = PayloadSize<T>.IsKnown;
    private readonly Lock _marksLock = new();
    private readonly Queue<(long At, CheckpointBarrier Barrier)> _marks = [];

    // What either side publishes lies on a cache line of its own.
    private Padded _published;
    private Padded _consumed;
    private Padded _markAt = new() { Value = long.MaxValue };
    private Padded _bytesOut;
    private volatile bool _completed;

    // Null while nobody looks: a stream without a tap pays one comparison.
    private volatile StreamTap<T>[]? _taps;
    private long _bytesIn;

    // The writer's.
    private Segment<T>? _tail;
    private int _tailIndex;
    private long _written;
    private long _consumedSeen;
    private long _blockedSince;
    private long _blockedTicks;
    private long _dropped;

    // The reader's.
    private Segment<T>? _head;
    private int _headIndex;
    private int _cleared;
    private long _read;
    private long _readable;
    private long _wakeReaderAt;
    private long _starvedSince;
    private long _starvedTicks;
    private long _progressAt;

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
        _segmentSize = (int)Math.Min(_capacity, Segment<T>.Largest);
        _progressAt = time.GetTimestamp();
    }

    public BindingPlan Plan { get; }

    /// <summary>Wakes the reading component.</summary>
    public Signal Reader { get; }

    /// <summary>Wakes the writing component.</summary>
    public Signal Writer { get; }

    /// <summary>Whether the reader stands at a barrier.</summary>
    public bool AtMark => Volatile.Read(ref _markAt.Value) == _read;

    /// <summary>Whether everything has been read and no more will come; for the reader.</summary>
    public bool IsEnded => _completed && Volatile.Read(ref _published.Value) == _read && !AtMark;

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
        if (_written - _consumedSeen >= _capacity && IsFull())
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

            Volatile.Write(ref _bytesIn, _bytesIn + size);
        }

        var tail = _tail;
        if (tail is null || _tailIndex == tail.Slots.Length)
        {
            tail = AddSegment();
        }

        tail.Slots[_tailIndex++] = e;
        if (_taps is not null)
        {
            CopyToTaps(e);
        }

        Volatile.Write(ref _published.Value, ++_written);
        if (Reader.IsArmed && _written >= Volatile.Read(ref _wakeReaderAt))
        {
            Reader.Set();
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

        var room = _capacity - (_written - _consumedSeen);
        if (room < events.Length)
        {
            IsFull();
            room = _capacity - (_written - _consumedSeen);
        }

        var writable = (int)Math.Min(room, events.Length);
        for (var done = 0; done < writable;)
        {
            var tail = _tail;
            if (tail is null || _tailIndex == tail.Slots.Length)
            {
                tail = AddSegment();
            }

            var part = Math.Min(writable - done, tail.Slots.Length - _tailIndex);
            events.Slice(done, part).CopyTo(tail.Slots.AsSpan(_tailIndex));
            _tailIndex += part;
            done += part;
            Volatile.Write(ref _published.Value, _written += part);
        }

        if (writable > 0 && Reader.IsArmed && _written >= Volatile.Read(ref _wakeReaderAt))
        {
            Reader.Set();
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

        while (count < into.Length && (_read != _readable || FindReadable()))
        {
            var head = _head;
            if (head is null || _headIndex == head.Slots.Length)
            {
                head = NextSegment();
            }

            var part = (int)Math.Min(Math.Min(into.Length - count, head.Slots.Length - _headIndex), _readable - _read);
            head.Slots.AsSpan(_headIndex, part).CopyTo(into[count..]);
            _headIndex += part;
            count += part;
            Volatile.Write(ref _consumed.Value, _read += part);
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
        Interlocked.MemoryBarrier();
        if (Reader.IsArmed && _written >= Volatile.Read(ref _wakeReaderAt))
        {
            Reader.Set();
        }
    }

    /// <summary>For a writer that found the stream full: arm, look again, wait.</summary>
    public async ValueTask WaitForRoomAsync(Event<T> e, CancellationToken ct)
    {
        // Full: the reader gets what there is, however much it waits for.
        Wake();
        var size = _sized ? PayloadSize<T>.Of(e.Data) : 0;
        Volatile.Write(ref _blockedSince, _time.GetTimestamp());
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
            Interlocked.Add(ref _blockedTicks, _time.GetTimestamp() - _blockedSince);
            Volatile.Write(ref _blockedSince, 0);
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
        if (_read == _readable && !FindReadable())
        {
            slots = null;
            index = 0;
            return false;
        }

        var head = _head;
        if (head is null || _headIndex == head.Slots.Length)
        {
            head = NextSegment();
        }

        slots = head.Slots;
        index = _headIndex++;
        if (_sized)
        {
            Volatile.Write(ref _bytesOut.Value, _bytesOut.Value + PayloadSize<T>.Of(slots[index].Data));
        }

        Volatile.Write(ref _consumed.Value, ++_read);
        if (Writer.IsArmed && (_written - _read <= _capacity - _wakeAt || _read == _readable))
        {
            Writer.Set();
        }

        return true;
    }

    /// <summary>Whether <see cref="TryRead"/> would give an event.</summary>
    public bool CanRead() => _read != _readable || FindReadable();

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
            Volatile.Write(ref _markAt.Value, _marks.TryPeek(out var next) ? next.At : long.MaxValue);
        }

        return true;
    }

    /// <summary>Whether there are at least so many events, or no more will come before a barrier or the end.</summary>
    public bool CanRead(int wanted)
    {
        FindReadable();
        return _readable - _read >= Math.Min(wanted, _capacity) || (_readable > _read && (_completed || _readable == Volatile.Read(ref _markAt.Value)));
    }

    /// <summary>The reader is about to wait: gives back what it no longer needs and lets a waiting writer know of the room. The reader's signal is armed by now.</summary>
    public void BeforeWait(int wanted)
    {
        // Fenced by the look that follows: a writer that does not see it yet wakes too early, never too late.
        Volatile.Write(ref _wakeReaderAt, _read + Math.Min(wanted, _capacity));
        if (_head is not null && _headIndex > _cleared)
        {
            Array.Clear(_head.Slots, _cleared, _headIndex - _cleared);
            _cleared = _headIndex;
        }

        if (Writer.IsArmed)
        {
            Writer.Set();
        }

        if (!_completed)
        {
            Volatile.Write(ref _starvedSince, _time.GetTimestamp());
        }
    }

    public void AfterWait()
    {
        var since = _starvedSince;
        if (since != 0)
        {
            Interlocked.Add(ref _starvedTicks, _time.GetTimestamp() - since);
            Volatile.Write(ref _starvedSince, 0);
        }
    }

    public void Complete()
    {
        _completed = true;
        Wake();
    }

    public void Mark(CheckpointBarrier barrier)
    {
        lock (_marksLock)
        {
            _marks.Enqueue((_written, barrier));
            if (_marks.Count == 1)
            {
                Volatile.Write(ref _markAt.Value, _written);
            }
        }

        Wake();
    }

    public IStreamTap Tap(int sample)
    {
        var tap = new StreamTap<T>(sample, Untap);
        lock (_marksLock)
        {
            _taps = [.. _taps ?? [], tap];
        }

        return tap;
    }

    /// <summary>Counts an event that never entered, because overflow said so.</summary>
    public void CountDropped() => Interlocked.Increment(ref _dropped);

    public StreamSnapshot Snapshot()
    {
        var now = _time.GetTimestamp();
        var read = Volatile.Read(ref _consumed.Value);
        var written = Math.Max(read, Published(read));
        var oldest = written > read ? Volatile.Read(ref _head)?.Since ?? Volatile.Read(ref _first)?.Since ?? now : now;
        return new StreamSnapshot(
            Plan.Name,
            $"{Plan.FromComponent}.{Plan.FromPort}",
            $"{Plan.ToComponent}.{Plan.ToPort}",
            written - read,
            _capacity,
            _sized ? Math.Max(0, Volatile.Read(ref _bytesIn) - Volatile.Read(ref _bytesOut.Value)) : 0,
            written,
            read,
            Interlocked.Read(ref _dropped),
            _time.GetElapsedTime(oldest, now),
            _time.GetElapsedTime(Volatile.Read(ref _progressAt), now),
            Span(Interlocked.Read(ref _blockedTicks), Volatile.Read(ref _blockedSince), now),
            Span(Interlocked.Read(ref _starvedTicks), Volatile.Read(ref _starvedSince), now),
            _completed);
    }

    // What can have been published when so many had been consumed: both counts go on between the two looks of whoever watches.
    private long Published(long consumed) => Math.Min(Volatile.Read(ref _published.Value), consumed + _capacity);

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

    private void Wake()
    {
        Interlocked.MemoryBarrier();
        if (Reader.IsArmed)
        {
            Reader.Set();
        }
    }

    private bool IsFull()
    {
        _consumedSeen = Volatile.Read(ref _consumed.Value);
        return _written - _consumedSeen >= _capacity;
    }

    // An event larger than the whole allowance passes alone.
    private bool HasRoomFor(long size)
    {
        var held = _bytesIn - Volatile.Read(ref _bytesOut.Value);
        return held <= 0 || held + size <= Plan.BufferBytes;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Segment<T> AddSegment()
    {
        var segment = _segmentSize == Segment<T>.Largest ? SegmentPool<T>.Rent() : Interlocked.Exchange(ref _spare, null) ?? new Segment<T>(_segmentSize);
        segment.Since = _time.GetTimestamp();
        if (_tail is null)
        {
            Volatile.Write(ref _first, segment);
        }
        else
        {
            Volatile.Write(ref _tail.Next, segment);
        }

        _tail = segment;
        _tailIndex = 0;
        return segment;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private Segment<T> NextSegment()
    {
        var before = _head;
        Volatile.Write(ref _head, before is null ? Volatile.Read(ref _first)! : Volatile.Read(ref before.Next)!);
        _headIndex = 0;
        Volatile.Write(ref _progressAt, _time.GetTimestamp());
        if (before is null)
        {
            Volatile.Write(ref _first, null);
        }
        else
        {
            before.Clear(_cleared);
            if (_segmentSize == Segment<T>.Largest)
            {
                SegmentPool<T>.Return(before);
            }
            else
            {
                Interlocked.Exchange(ref _spare, before);
            }
        }

        _cleared = 0;
        return _head!;
    }

    // A barrier is put in its place before later events are published, so it is seen by whoever sees them.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool FindReadable()
    {
        var published = Volatile.Read(ref _published.Value);
        _readable = Math.Min(published, Volatile.Read(ref _markAt.Value));
        return _read < _readable;
    }
}
