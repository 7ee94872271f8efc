using System.Buffers.Binary;
using System.Text;

namespace Loom.Node.Gguf;

/// <summary>Reads little-endian values forward and never past the end of the file or the limit of the header; every error names the offset.</summary>
internal sealed class GgufCursor(Stream input, long length)
{
    /// <summary>No model's header is larger: vocabularies take a few megabytes.</summary>
    private const long MaxHeaderBytes = 128L << 20;

    private readonly byte[] _buffer = new byte[1 << 16];
    private int _start;
    private int _end;

    public long Offset { get; private set; }

    public long Length => length;

    public byte Byte() => Take(1)[0];

    public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(sizeof(ushort)));

    public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));

    /// <summary>A count that cannot be larger than <paramref name="max"/> in an honest file.</summary>
    public int Count(string what, int max)
    {
        var at = Offset;
        var value = UInt64();
        return value <= (ulong)max ? (int)value : throw Error($"{what} is {value}, but at most {max} was expected", at);
    }

    /// <summary>A text of at most <paramref name="max"/> bytes; a longer one is an error.</summary>
    public string ShortText(string what, int max) => Text(Count($"the length of {what}", max));

    /// <summary>A text, or null for one of more than <paramref name="max"/> bytes, which is passed over.</summary>
    public string? TextUpTo(int max)
    {
        var bytes = TextLength();
        if (bytes <= max)
        {
            return Text((int)bytes);
        }

        Skip(bytes);
        return null;
    }

    /// <summary>Passes over a text of any length that fits the file.</summary>
    public void SkipText() => Skip(TextLength());

    public void Skip(long bytes)
    {
        Need(bytes);
        while (bytes > 0)
        {
            bytes -= Take((int)Math.Min(bytes, _buffer.Length)).Length;
        }
    }

    public GgufException Error(string message, long? at = null) => new($"not a usable GGUF model: {message} (at byte {at ?? Offset})");

    private long TextLength()
    {
        var at = Offset;
        var bytes = UInt64();
        return bytes <= (ulong)(length - Offset) ? (long)bytes : throw Error($"a text of {bytes} bytes does not fit the {length - Offset} bytes left", at);
    }

    private string Text(int bytes)
    {
        Need(bytes);
        var text = new byte[bytes];
        for (var done = 0; done < bytes;)
        {
            var part = Take(Math.Min(bytes - done, _buffer.Length));
            part.CopyTo(text.AsSpan(done));
            done += part.Length;
        }

        return Encoding.UTF8.GetString(text);
    }

    private void Need(long bytes)
    {
        if (bytes > length - Offset)
        {
            throw Error($"the file ends after {length} bytes, but {bytes} more were expected; it is cut short or damaged, fetch it again");
        }

        if (bytes > MaxHeaderBytes - Offset)
        {
            throw Error($"the header is larger than {MaxHeaderBytes} bytes");
        }
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        Need(count);
        if (_end - _start < count)
        {
            Fill(count);
        }

        var taken = _buffer.AsSpan(_start, count);
        _start += count;
        Offset += count;
        return taken;
    }

    private void Fill(int count)
    {
        _buffer.AsSpan(_start.._end).CopyTo(_buffer);
        _end -= _start;
        _start = 0;
        var read = input.ReadAtLeast(_buffer.AsSpan(_end), count - _end, throwOnEndOfStream: false);
        _end += read;
        if (_end < count)
        {
            throw Error($"the file ended while it was read, {count - _end} bytes early");
        }
    }
}
