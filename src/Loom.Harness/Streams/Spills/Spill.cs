namespace Loom.Harness.Streams.Spills;

/// <summary>
/// The part of a stream that waits on disk, in order: events gather in memory until they fill a frame, frames lie in files that are removed once they have been read. At most
/// <c>spill_bytes</c> lie on disk; a disk that refuses is the same as one that is full, and is asked again when the reader has moved on. Its stream's lock guards it.
/// </summary>
internal sealed class Spill<T>(ISpillFiles files, long limit)
{
    private const int FrameEvents = 64;
    private const int FrameBytes = 1 << 20;

    private readonly long _fileBytes = Math.Max(64 << 10, Math.Min(16 << 20, limit / 8));
    private readonly Queue<Frame> _frames = [];
    private readonly Queue<(Held<T> Event, byte[] Json)> _forming = [];
    private readonly Queue<Held<T>> _reading = [];
    private readonly Dictionary<int, long> _sizes = [];
    private int _formingBytes;
    private int _file = 1;
    private int _number;
    private bool _refused;

    /// <summary>Events in it.</summary>
    public long Count { get; private set; }

    /// <summary>Bytes on disk.</summary>
    public long Bytes { get; private set; }

    /// <summary>Why the disk refuses; null when it does not.</summary>
    public string? Trouble { get; private set; }

    /// <summary>When the oldest event entered; null when there is none, or when it has not been read back yet.</summary>
    public long? OldestAt
    {
        get
        {
            if (_reading.Count == 0 && _frames.TryPeek(out var frame))
            {
                return frame.OldestAt;
            }

            return _reading.TryPeek(out var held) ? held.At : _forming.TryPeek(out var forming) ? forming.Event.At : null;
        }
    }

    /// <summary>Whether it is worth trying to append.</summary>
    public bool HasRoom => !IsFormed || (!_refused && Fits);

    private bool IsFormed => _forming.Count >= FrameEvents || _formingBytes >= FrameBytes;

    private bool Fits => Bytes + _formingBytes + SpillFrame.HeaderLength + (12 * _forming.Count) <= limit;

    /// <summary>Takes an event; false when there is no room, or the disk refuses.</summary>
    /// <exception cref="Loom.Components.ItemException">The payload has no JSON form.</exception>
    public bool TryAppend(in Held<T> held)
    {
        if (IsFormed && (_refused || !Fits || !TryWriteFrame()))
        {
            return false;
        }

        var json = EventCodec<T>.Write(held.Event);
        _forming.Enqueue((held, json));
        _formingBytes += json.Length;
        Count++;
        return true;
    }

    /// <summary>Takes the oldest event; false when there is none. A frame that cannot be read back comes as damage, in the place of its events.</summary>
    public bool TryTake(out Held<T> held, out SpillDamage? damage)
    {
        damage = null;
        held = default;
        if (_reading.Count == 0 && _frames.TryDequeue(out var frame))
        {
            damage = ReadBack(frame);
            _refused = false;
            if (damage is not null)
            {
                Count -= damage.Events;
                return true;
            }
        }

        if (!_reading.TryDequeue(out held))
        {
            if (!_forming.TryDequeue(out var next))
            {
                return false;
            }

            held = next.Event;
            _formingBytes -= next.Json.Length;
            _refused = false;
        }

        if (--Count == 0)
        {
            Trouble = null;
        }

        return true;
    }

    private bool TryWriteFrame()
    {
        var bytes = SpillFrame.Write([.. _forming.Select(f => (f.Event.At, f.Json))]);
        var offset = _sizes.GetValueOrDefault(_file);
        if (offset > 0 && offset + bytes.Length > _fileBytes)
        {
            (_file, offset) = (_file + 1, 0);
        }

        try
        {
            files.Write(_file, offset, bytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Trouble = e.Message;
            _refused = true;
            return false;
        }

        Trouble = null;
        _frames.Enqueue(new Frame(++_number, _file, offset, bytes.Length, _forming.Count, _forming.Peek().Event.At));
        _sizes[_file] = offset + bytes.Length;
        Bytes += bytes.Length;
        _forming.Clear();
        _formingBytes = 0;
        return true;
    }

    private SpillDamage? ReadBack(Frame frame)
    {
        var bytes = new byte[frame.Length];
        var read = 0;
        string reason;
        try
        {
            read = files.Read(frame.File, frame.Offset, bytes);
            if (SpillFrame.Read<T>(bytes.AsMemory(0, read), frame.Events, out reason) is { } events)
            {
                foreach (var held in events)
                {
                    _reading.Enqueue(held);
                }

                return null;
            }
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Any: a type that can be written and not read back throws what it likes, and its events are in nobody's hands any more.
            reason = e.Message;
        }
        finally
        {
            LetGo(frame);
        }

        return new SpillDamage(frame.Number, frame.Events, reason, files.SetAside(frame.Number, bytes.AsSpan(0, read)));
    }

    // A file goes with its last frame.
    private void LetGo(Frame frame)
    {
        if (_frames.TryPeek(out var next) && next.File == frame.File)
        {
            return;
        }

        Bytes -= _sizes.GetValueOrDefault(frame.File);
        _sizes.Remove(frame.File);
        _file = _frames.Count == 0 ? _file + 1 : _file;
        try
        {
            files.Remove(frame.File);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Trouble = e.Message;
        }
    }

    private readonly record struct Frame(int Number, int File, long Offset, int Length, int Events, long OldestAt);
}
