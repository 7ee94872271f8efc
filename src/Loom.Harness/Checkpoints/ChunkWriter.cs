using System.Security.Cryptography;
using Loom.Components;

namespace Loom.Harness.Checkpoints;

/// <summary>
/// Takes one component's state and puts it into a store in chunks, hashing on the way. Asynchronous writes hold at most one chunk in memory; synchronous ones
/// cannot wait for a store and are kept until the next asynchronous one.
/// </summary>
internal sealed class ChunkWriter(IStateAdapter adapter, Func<int, string> key) : Stream
{
    /// <summary>Bytes of a chunk, and the largest value of a store.</summary>
    public const int ChunkBytes = 1024 * 1024;

    private readonly IncrementalHash _whole = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private readonly List<string> _hashes = [];
    private readonly Queue<byte[]> _full = new();
    private byte[] _open = [];
    private int _used;
    private long _bytes;

    /// <summary>Keys that may have been written, also by a put that failed.</summary>
    public List<string> Keys { get; } = [];

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => _bytes;

    public override long Position
    {
        get => _bytes;
        set => throw new NotSupportedException();
    }

    /// <summary>Puts what is left and says what was written.</summary>
    public async ValueTask<(long Bytes, string Sha256, IReadOnlyList<string> Chunks)> FinishAsync(CancellationToken ct)
    {
        await PutFullAsync(ct).ConfigureAwait(false);
        if (_used > 0)
        {
            await PutAsync(_open.AsMemory(0, _used), ct).ConfigureAwait(false);
            _used = 0;
        }

        return (_bytes, Convert.ToHexStringLower(_whole.GetHashAndReset()), _hashes);
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        _bytes += buffer.Length;
        while (!buffer.IsEmpty)
        {
            if (_used == _open.Length && !Room(buffer.Length))
            {
                _full.Enqueue(_open);
                (_open, _used) = ([], 0);
                continue;
            }

            var part = buffer[..Math.Min(buffer.Length, _open.Length - _used)];
            part.CopyTo(_open.AsSpan(_used));
            _used += part.Length;
            buffer = buffer[part.Length..];
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // In slices, so that a large state given at once is not copied whole first.
        do
        {
            var part = buffer[..Math.Min(buffer.Length, ChunkBytes)];
            Write(part.Span);
            buffer = buffer[part.Length..];
            await PutFullAsync(cancellationToken).ConfigureAwait(false);
        }
        while (!buffer.IsEmpty);
    }

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush()
    {
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => PutFullAsync(cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        _whole.Dispose();
        base.Dispose(disposing);
    }

    // Grows the open chunk, since most states are small; false when it is full.
    private bool Room(int wanted)
    {
        if (_open.Length == ChunkBytes)
        {
            return false;
        }

        Array.Resize(ref _open, Math.Clamp(Math.Max(_open.Length * 4, Math.Min(wanted + _used, ChunkBytes)), 4096, ChunkBytes));
        return true;
    }

    private async ValueTask PutFullAsync(CancellationToken ct)
    {
        while (_full.TryDequeue(out var chunk))
        {
            await PutAsync(chunk, ct).ConfigureAwait(false);
        }
    }

    private async ValueTask PutAsync(ReadOnlyMemory<byte> chunk, CancellationToken ct)
    {
        var name = key(_hashes.Count);
        _whole.AppendData(chunk.Span);
        _hashes.Add(Convert.ToHexStringLower(SHA256.HashData(chunk.Span)));
        Keys.Add(name);
        await adapter.PutAsync(name, chunk, ct).ConfigureAwait(false);
    }
}
