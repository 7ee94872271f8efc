using System.Buffers;
using Loom.Core.Storage;
using Microsoft.Win32.SafeHandles;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>
/// A file that records are appended to. Records are collected in memory and written in large pieces, each at a place of its own, so a write that failed (a full disk) is done
/// again without doubling anything.
/// </summary>
internal abstract class AppendFile : IDisposable
{
    /// <summary>What is collected before it is written.</summary>
    protected const int BlockBytes = 64 * 1024;

    private readonly ArrayBufferWriter<byte> _collected = new(BlockBytes + 4096);

    /// <summary>Adds a record, for which <see cref="MakeRoomAsync"/> has made room.</summary>
    public void Add(ReadOnlySpan<byte> record) => _collected.Write(record);

    /// <summary>Makes room for a record; call it before each.</summary>
    /// <exception cref="IOException">What was collected cannot be written; it stays collected.</exception>
    public ValueTask MakeRoomAsync(CancellationToken ct) => _collected.WrittenCount < BlockBytes ? default : WriteOutAsync(ct);

    /// <summary>Writes what is collected, so that the file's reader (or the checkpoint) has it.</summary>
    /// <param name="durable">Whether it must survive a crash of the machine.</param>
    /// <param name="ct">Gives up.</param>
    public abstract ValueTask FlushAsync(bool durable, CancellationToken ct);

    /// <summary>Writes what is collected where it goes, and no more than that.</summary>
    public ValueTask WriteAsync(CancellationToken ct) => WriteOutAsync(ct);

    /// <summary>What a checkpoint keeps; null when there is nothing to keep.</summary>
    public virtual StagedState? Snapshot() => null;

    /// <summary>Goes on from a checkpoint.</summary>
    public virtual ValueTask RestoreAsync(StagedState state, CancellationToken ct) => default;

    /// <summary>The checkpoint of the last snapshot is durable.</summary>
    public virtual ValueTask CommitAsync(CancellationToken ct) => default;

    public abstract void Dispose();

    /// <summary>Whether nothing was ever written or collected, in this run or before: a header belongs there.</summary>
    public abstract bool IsEmpty { get; }

    /// <summary>The first bytes of what it holds, at most 64 KiB: where a header stands.</summary>
    public abstract byte[] Start();

    /// <summary>The first bytes of a file.</summary>
    protected static byte[] StartOf(SafeFileHandle file)
    {
        var start = new byte[BlockBytes];
        return start[..RandomAccess.Read(file, start, 0)];
    }

    /// <summary>Whether records are waiting to be written.</summary>
    protected bool HasCollected => _collected.WrittenCount > 0;

    /// <summary>Where collected records go; opened at the first.</summary>
    protected abstract SafeFileHandle Open();

    /// <summary>Length of that file as far as it counts.</summary>
    protected long Length { get; set; }

    /// <summary>Writes what is collected.</summary>
    protected async ValueTask WriteOutAsync(CancellationToken ct)
    {
        if (_collected.WrittenCount == 0)
        {
            return;
        }

        var file = Open();
        await RandomAccess.WriteAsync(file, _collected.WrittenMemory, Length, ct).ConfigureAwait(false);
        Length += _collected.WrittenCount;
        _collected.ResetWrittenCount();
    }

    /// <summary>Opens a file for writing, with its folder.</summary>
    protected static SafeFileHandle OpenFor(string path, out bool made)
    {
        var folder = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(folder);
        made = !File.Exists(path);
        var file = File.OpenHandle(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete, FileOptions.Asynchronous);
        if (made)
        {
            DurableFile.FlushFolder(folder);
        }

        return file;
    }
}

/// <summary>Appends to the file itself: for runs without checkpoints.</summary>
/// <param name="path">The file.</param>
/// <param name="replace">Whether what it held before goes.</param>
internal sealed class PlainAppend(string path, bool replace) : AppendFile
{
    private SafeFileHandle? _file;

    /// <inheritdoc />
    public override bool IsEmpty
    {
        get
        {
            Open();
            return Length == 0 && !HasCollected;
        }
    }

    /// <inheritdoc />
    public override async ValueTask FlushAsync(bool durable, CancellationToken ct)
    {
        var file = Open();
        await WriteOutAsync(ct).ConfigureAwait(false);
        if (durable)
        {
            RandomAccess.FlushToDisk(file);
        }
    }

    /// <inheritdoc />
    public override byte[] Start() => StartOf(Open());

    public override void Dispose() => _file?.Dispose();

    /// <inheritdoc />
    protected override SafeFileHandle Open()
    {
        if (_file is not null)
        {
            return _file;
        }

        _file = OpenFor(path, out _);
        if (replace)
        {
            RandomAccess.SetLength(_file, 0);
        }

        Length = EndLastLine(_file);
        return _file;
    }

    // A crash may have cut a line: what follows begins on a line of its own.
    internal static long EndLastLine(SafeFileHandle file)
    {
        var length = RandomAccess.GetLength(file);
        Span<byte> last = stackalloc byte[1];
        if (length == 0 || (RandomAccess.Read(file, last, length - 1) == 1 && last[0] == '\n'))
        {
            return length;
        }

        RandomAccess.Write(file, "\n"u8, length);
        return length + 1;
    }
}
