using System.Buffers;

namespace Loom.Processes.Logs;

/// <summary>Receives one line without its end.</summary>
internal delegate void LineHandler(ReadOnlySpan<byte> line);

/// <summary>Cuts bytes into lines. A line longer than <see cref="Longest"/> is passed on in parts, each but the last ending with a marker, so memory stays bounded.</summary>
internal sealed class LineSplitter(LineHandler onLine) : IBufferWriter<byte>
{
    internal const int Longest = 64 * 1024;

    private const int Idle = 4 * 1024;

    private byte[] _buffer = [];
    private int _used;
    private byte[] _scratch = [];

    internal static ReadOnlySpan<byte> Marker => " [loom: line continues]"u8;

    public void Advance(int count) => Feed(_scratch.AsSpan(0, count));

    public Memory<byte> GetMemory(int sizeHint = 0) => Scratch(sizeHint);

    public Span<byte> GetSpan(int sizeHint = 0) => Scratch(sizeHint).Span;

    /// <summary>Takes the next bytes.</summary>
    internal void Feed(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            var end = data.IndexOf((byte)'\n');
            var part = end < 0 ? data : data[..end];
            var room = Longest - _used;
            if (part.Length > room)
            {
                Keep(part[..room]);
                Keep(Marker);
                Emit();
                data = data[room..];
                continue;
            }

            if (end < 0)
            {
                Keep(part);
                return;
            }

            if (_used == 0)
            {
                onLine(part); // the common case: a whole line in one read, not copied
            }
            else
            {
                Keep(part);
                Emit();
            }

            data = data[(end + 1)..];
        }
    }

    /// <summary>Passes on a last line that has no end.</summary>
    internal void Finish()
    {
        if (_used > 0)
        {
            Emit();
        }
    }

    private void Keep(ReadOnlySpan<byte> part)
    {
        if (_used + part.Length > _buffer.Length)
        {
            Array.Resize(ref _buffer, Math.Max(_used + part.Length, _buffer.Length * 2));
        }

        part.CopyTo(_buffer.AsSpan(_used));
        _used += part.Length;
    }

    private void Emit()
    {
        onLine(_buffer.AsSpan(0, _used));
        _used = 0;
        if (_buffer.Length > Idle)
        {
            _buffer = []; // a long line is rare; its memory is not kept for every child
        }
    }

    private Memory<byte> Scratch(int sizeHint)
    {
        if (_scratch.Length < Math.Max(sizeHint, 1))
        {
            _scratch = new byte[Math.Max(sizeHint, 256)];
        }

        return _scratch;
    }
}
