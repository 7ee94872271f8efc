using Loom.Harness.Streams.Spills;

namespace Loom.Fast.Tests.Harness.Streams;

/// <summary>Spill files in memory, with a disk that can be full and bytes that can be changed.</summary>
internal sealed class MemorySpillFiles : ISpillFiles
{
    private readonly Lock _lock = new();

    public Dictionary<int, byte[]> Files { get; } = [];

    public List<byte[]> Aside { get; } = [];

    public int Refusals { get; private set; }

    /// <summary>Bytes the disk holds.</summary>
    public long Room { get; set; } = long.MaxValue;

    /// <summary>Changes what a read finds: file, offset, bytes; returns how many there are.</summary>
    public Func<int, long, Memory<byte>, int>? Spoil { get; set; }

    public void Write(int file, long offset, ReadOnlySpan<byte> frame)
    {
        lock (_lock)
        {
            var others = Files.Where(f => f.Key != file).Sum(f => (long)f.Value.Length);
            if (others + offset + frame.Length > Room)
            {
                Refusals++;
                throw new IOException("No space left on device");
            }

            var bytes = new byte[offset + frame.Length];
            (Files.GetValueOrDefault(file) ?? []).AsSpan(0, (int)offset).CopyTo(bytes);
            frame.CopyTo(bytes.AsSpan((int)offset));
            Files[file] = bytes;
        }
    }

    public int Read(int file, long offset, Span<byte> frame)
    {
        lock (_lock)
        {
            var copy = Files[file].AsSpan((int)offset, frame.Length).ToArray();
            var read = Spoil?.Invoke(file, offset, copy) ?? copy.Length;
            copy.CopyTo(frame);
            return read;
        }
    }

    public void Remove(int file)
    {
        lock (_lock)
        {
            Files.Remove(file);
        }
    }

    public string? SetAside(int number, ReadOnlySpan<byte> frame)
    {
        Aside.Add(frame.ToArray());
        return $"damaged-{number}";
    }
}
