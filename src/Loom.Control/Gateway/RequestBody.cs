using System.Buffers;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Gateway;

/// <summary>A request body, read once into one pooled buffer. Used again for the next request of the connection.</summary>
internal sealed class RequestBody
{
    // A client that announces much and sends little must not reserve much.
    private const int FirstBuffer = 128 * 1024;

    private byte[] _buffer = [];

    /// <summary>Bytes read.</summary>
    public int Length { get; private set; }

    /// <summary>The body.</summary>
    public ReadOnlyMemory<byte> Memory => _buffer.AsMemory(0, Length);

    /// <summary>The body.</summary>
    public ReadOnlySpan<byte> Span => _buffer.AsSpan(0, Length);

    /// <summary>Reads to the end. Null when all is well; the connection must be closed after a problem, because the rest of the body is unread.</summary>
    /// <param name="request">The request.</param>
    /// <param name="most">Largest body allowed, in bytes.</param>
    /// <param name="cancel">Ends the wait for a slow sender.</param>
    public async ValueTask<Problem?> ReadAsync(HttpRequest request, long most, CancellationToken cancel)
    {
        Length = 0;
        var announced = request.ContentLength;
        if (announced > most)
        {
            return TooLarge(most);
        }

        _buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(announced ?? 4096, FirstBuffer));
        var reader = request.BodyReader;
        while (true)
        {
            if (!reader.TryRead(out var read))
            {
                read = await reader.ReadAsync(cancel).ConfigureAwait(false);
            }

            var part = read.Buffer;
            if (Length + part.Length > most)
            {
                reader.AdvanceTo(part.Start, part.End);
                return TooLarge(most);
            }

            Append(part);
            reader.AdvanceTo(part.End);
            if (read.IsCompleted)
            {
                return null;
            }
        }
    }

    /// <summary>Gives the buffer back.</summary>
    public void Release()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }

        Length = 0;
    }

    private static Problem TooLarge(long most) =>
        new(ProblemCode.BodyTooLarge, $"the request body is larger than {most} bytes (serving.max_body_bytes)");

    private void Append(ReadOnlySequence<byte> part)
    {
        var needed = Length + (int)part.Length;
        if (needed > _buffer.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(needed, _buffer.Length * 2));
            Span.CopyTo(larger);
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = larger;
        }

        part.CopyTo(_buffer.AsSpan(Length));
        Length = needed;
    }
}
