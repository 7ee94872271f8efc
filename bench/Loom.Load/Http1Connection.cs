using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Loom.Load;

/// <summary>
/// One keep-alive HTTP/1.1 connection without a framework between the clock and the socket. It reads just enough of the protocol to know where an
/// answer ends; what it cannot read is an error, never a success.
/// </summary>
internal sealed class Http1Connection : IDisposable
{
    private readonly Socket _socket;
    private byte[] _buffer = new byte[64 * 1024];
    private int _start;
    private int _end;

    private Http1Connection(Socket socket) => _socket = socket;

    public static async Task<Http1Connection> OpenAsync(IPEndPoint address, CancellationToken cancellationToken)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(address, cancellationToken).ConfigureAwait(false);
            return new Http1Connection(socket);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>A request as bytes, ready to be sent many times.</summary>
    public static byte[] Request(string method, string path, string body, params string[] headers)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        foreach (var header in headers)
        {
            text.Append(header).Append("\r\n");
        }

        if (body.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"Content-Type: application/json\r\nContent-Length: {Encoding.UTF8.GetByteCount(body)}\r\n");
        }

        return Encoding.UTF8.GetBytes(text.Append("\r\n").Append(body).ToString());
    }

    /// <summary>Sends a request and reads the answer to its end.</summary>
    /// <param name="request">From <see cref="Request"/>.</param>
    /// <param name="onData">Called for each piece of the body as it comes, or null.</param>
    /// <param name="cancellationToken">Ends the wait; the connection is then of no further use.</param>
    /// <returns>The status.</returns>
    public async ValueTask<int> SendAsync(ReadOnlyMemory<byte> request, Action<ReadOnlyMemory<byte>>? onData, CancellationToken cancellationToken)
    {
        await _socket.SendAsync(request, cancellationToken).ConfigureAwait(false);
        int headEnd;
        while ((headEnd = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n\r\n"u8)) < 0)
        {
            await FillAsync(cancellationToken).ConfigureAwait(false);
        }

        var head = Encoding.ASCII.GetString(_buffer, _start, headEnd);
        _start += headEnd + 4;
        var status = int.Parse(head.AsSpan(9, 3), CultureInfo.InvariantCulture);
        if (Header(head, "content-length") is { } length)
        {
            await TakeAsync(long.Parse(length, CultureInfo.InvariantCulture), onData, cancellationToken).ConfigureAwait(false);
        }
        else if (Header(head, "transfer-encoding") is "chunked")
        {
            await ChunksAsync(onData, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            throw new IOException("an answer without length or chunks:\n" + head);
        }

        return status;
    }

    public void Dispose() => _socket.Dispose();

    private static string? Header(string head, string name)
    {
        foreach (var line in head.Split("\r\n"))
        {
            if (line.StartsWith(name, StringComparison.OrdinalIgnoreCase) && line.Length > name.Length && line[name.Length] == ':')
            {
                return line[(name.Length + 1)..].Trim().ToLowerInvariant();
            }
        }

        return null;
    }

    private async ValueTask ChunksAsync(Action<ReadOnlyMemory<byte>>? onData, CancellationToken cancellationToken)
    {
        while (true)
        {
            int lineEnd;
            while ((lineEnd = _buffer.AsSpan(_start, _end - _start).IndexOf("\r\n"u8)) < 0)
            {
                await FillAsync(cancellationToken).ConfigureAwait(false);
            }

            var size = long.Parse(Encoding.ASCII.GetString(_buffer, _start, lineEnd).Split(';')[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
            _start += lineEnd + 2;
            await TakeAsync(size, onData, cancellationToken).ConfigureAwait(false);
            await TakeAsync(2, null, cancellationToken).ConfigureAwait(false);
            if (size == 0)
            {
                return;
            }
        }
    }

    private async ValueTask TakeAsync(long count, Action<ReadOnlyMemory<byte>>? onData, CancellationToken cancellationToken)
    {
        while (count > 0)
        {
            if (_start == _end)
            {
                await FillAsync(cancellationToken).ConfigureAwait(false);
            }

            var take = (int)Math.Min(count, _end - _start);
            onData?.Invoke(_buffer.AsMemory(_start, take));
            _start += take;
            count -= take;
        }
    }

    private async ValueTask FillAsync(CancellationToken cancellationToken)
    {
        if (_start == _end)
        {
            _start = _end = 0;
        }
        else if (_end == _buffer.Length)
        {
            if (_start == 0)
            {
                Array.Resize(ref _buffer, _buffer.Length * 2);
            }
            else
            {
                _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
                _end -= _start;
                _start = 0;
            }
        }

        var read = await _socket.ReceiveAsync(_buffer.AsMemory(_end), SocketFlags.None, cancellationToken).ConfigureAwait(false);
        if (read == 0)
        {
            throw new IOException("the connection ended inside an answer");
        }

        _end += read;
    }
}
