using System.Security.Cryptography;
using Loom.Components;

namespace Loom.Harness.Checkpoints;

/// <summary>Reads one component's state out of a store; not a byte is handed on that is not what was written.</summary>
internal static class VerifiedState
{
    /// <summary>Reads the whole state and forgets it.</summary>
    /// <exception cref="CheckpointDamagedException">A chunk is missing or changed.</exception>
    /// <exception cref="IOException">The store cannot be read.</exception>
    public static async ValueTask VerifyAsync(IStateAdapter adapter, CheckpointKeys keys, ManifestPart part, CancellationToken ct)
    {
        using var whole = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var bytes = 0L;
        for (var i = 0; i < part.Chunks.Count; i++)
        {
            var chunk = await ChunkAsync(adapter, keys, part, i, ct).ConfigureAwait(false);
            whole.AppendData(chunk);
            bytes += chunk.Length;
        }

        if (bytes != part.Bytes || (part.HasState && Convert.ToHexStringLower(whole.GetHashAndReset()) != part.Sha256))
        {
            throw new CheckpointDamagedException($"the state of {part.Component} does not have the size and SHA-256 it was written with");
        }
    }

    /// <summary>The state as a stream over memory; chunks are verified again, since they are read again.</summary>
    public static async ValueTask<Stream> OpenAsync(IStateAdapter adapter, CheckpointKeys keys, ManifestPart part, CancellationToken ct)
    {
        var chunks = new byte[part.Chunks.Count][];
        for (var i = 0; i < chunks.Length; i++)
        {
            chunks[i] = await ChunkAsync(adapter, keys, part, i, ct).ConfigureAwait(false);
        }

        return chunks.Length == 1 ? new MemoryStream(chunks[0], writable: false) : new ChunkedStream(chunks);
    }

    private static async ValueTask<byte[]> ChunkAsync(IStateAdapter adapter, CheckpointKeys keys, ManifestPart part, int index, CancellationToken ct)
    {
        var chunk = await adapter.GetAsync(keys.Chunk(part.Component, index), ct).ConfigureAwait(false)
            ?? throw new CheckpointDamagedException($"chunk {index + 1} of {part.Chunks.Count} of the state of {part.Component} is missing");
        return Convert.ToHexStringLower(SHA256.HashData(chunk)) == part.Chunks[index]
            ? chunk
            : throw new CheckpointDamagedException($"chunk {index + 1} of {part.Chunks.Count} of the state of {part.Component} was changed after it had been written");
    }

    private sealed class ChunkedStream(byte[][] chunks) : Stream
    {
        private int _chunk;
        private int _at;

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(Span<byte> buffer)
        {
            while (_chunk < chunks.Length && _at == chunks[_chunk].Length)
            {
                chunks[_chunk] = []; // read once, so memory can go
                (_chunk, _at) = (_chunk + 1, 0);
            }

            if (_chunk == chunks.Length)
            {
                return 0;
            }

            var part = chunks[_chunk].AsSpan(_at);
            part = part[..Math.Min(part.Length, buffer.Length)];
            part.CopyTo(buffer);
            _at += part.Length;
            return part.Length;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => new(Read(buffer.Span));

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            Task.FromResult(Read(buffer.AsSpan(offset, count)));

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
