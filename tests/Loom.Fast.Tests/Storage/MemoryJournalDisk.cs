using Loom.Core.Storage;

namespace Loom.Fast.Tests.Storage;

/// <summary>A disk in memory that can be full, can tear a write and counts flushes.</summary>
internal sealed class MemoryJournalDisk : IJournalDisk
{
    private readonly Stack<MemoryFile> _next = new();

    public MemoryFile File { get; private set; } = new(int.MaxValue);

    /// <summary>Bytes a file may have.</summary>
    public int Room { get; set; } = int.MaxValue;

    public int Flushes => File.Flushes;

    public IJournalFile Open()
    {
        File.Disk = this;
        return File;
    }

    public IJournalFile CreateNext()
    {
        _next.Push(new MemoryFile(int.MaxValue) { Disk = this });
        return _next.Peek();
    }

    public void PublishNext() => File = _next.Pop();

    public void DiscardNext() => _next.Pop();

    internal sealed class MemoryFile(int largest) : IJournalFile
    {
        private byte[] _bytes = [];

        public MemoryJournalDisk? Disk { get; set; }

        public int Flushes { get; private set; }

        public byte[] Bytes
        {
            get => _bytes;
            set => _bytes = value;
        }

        /// <summary>Run at each flush, before it counts.</summary>
        public Action? OnFlush { get; set; }

        public Stream Read() => new MemoryStream(_bytes);

        public void Write(ReadOnlySpan<byte> bytes, long at)
        {
            var room = Math.Min(largest, Disk!.Room);
            var length = (int)Math.Min(at + bytes.Length, room);
            if (length > _bytes.Length)
            {
                Array.Resize(ref _bytes, length);
            }

            bytes[..Math.Max(0, (int)Math.Min(bytes.Length, length - at))].CopyTo(_bytes.AsSpan((int)at));
            if (at + bytes.Length > room)
            {
                throw new IOException("No space left on device", 28);
            }
        }

        public void Flush()
        {
            OnFlush?.Invoke();
            Flushes++;
        }

        public void Cut(long length) => Array.Resize(ref _bytes, (int)length);

        public void Dispose()
        {
        }
    }
}
