using System.Buffers;
using Microsoft.AspNetCore.Http;

namespace Loom.Node.Link;

/// <summary>The body of a request in a pooled buffer. No request that still sends it may outlive it.</summary>
internal sealed class KeptBody : IDisposable
{
    private byte[] _buffer;

    private KeptBody(byte[] buffer, int length)
    {
        _buffer = buffer;
        Memory = buffer.AsMemory(0, length);
    }

    /// <summary>The body; empty when there is none.</summary>
    public ReadOnlyMemory<byte> Memory { get; }

    /// <summary>Reads the body of a request to its end; null = it says no length or a larger one, and is still unread.</summary>
    /// <param name="request">The request.</param>
    /// <param name="most">Longest body that is kept, bytes.</param>
    /// <param name="gone">The client is.</param>
    /// <exception cref="OperationCanceledException">The client went before all of it was there.</exception>
    public static async ValueTask<KeptBody?> ReadAsync(HttpRequest request, int most, CancellationToken gone)
    {
        if (request.Headers.TransferEncoding.Count > 0 || request.ContentLength > most)
        {
            return null;
        }

        var length = (int)(request.ContentLength ?? 0);
        if (length == 0)
        {
            return new KeptBody([], 0);
        }

        var body = new KeptBody(ArrayPool<byte>.Shared.Rent(length), length);
        try
        {
            await request.Body.ReadExactlyAsync(body._buffer.AsMemory(0, length), gone).ConfigureAwait(false);
            return body;
        }
        catch (IOException) when (gone.IsCancellationRequested)
        {
            body.Dispose();
            throw new OperationCanceledException(gone);
        }
        catch
        {
            body.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (_buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(_buffer);
            _buffer = [];
        }
    }
}
