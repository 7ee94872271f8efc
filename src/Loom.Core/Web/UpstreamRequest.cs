using System.Net.Sockets;

namespace Loom.Core.Web;

/// <summary>A request to an engine, an agent or a provider that remembers whether a connection was opened for it.</summary>
/// <param name="method">Its method.</param>
/// <param name="target">Where it goes.</param>
public sealed class UpstreamRequest(HttpMethod method, Uri target) : HttpRequestMessage(method, target)
{
    private volatile bool _connects;

    /// <summary>Whether no connection was idle when it was sent. When it is false and the request failed, a reused connection failed.</summary>
    public bool Connects => _connects;

    /// <summary>Opens connections for a <see cref="SocketsHttpHandler"/>; without it no request knows whether it has one of its own.</summary>
    public static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        if (context.InitialRequestMessage is UpstreamRequest request)
        {
            request._connects = true;
        }

        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancel).ConfigureAwait(false);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Whether this failure is that of a connection used before, which ended ahead of the first byte of the answer. The other side may close an idle
    /// connection at any moment; that says nothing about its health.
    /// </summary>
    public bool FoundDeadConnection(HttpRequestException error) =>
        !_connects && (error.HttpRequestError == HttpRequestError.ResponseEnded || (error.HttpRequestError == HttpRequestError.Unknown && error.InnerException is IOException));
}
