using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Loom.Control.Catalog;

namespace Loom.Control.Gateway;

/// <summary>
/// Sends requests to engines and providers. No timeout but the caller's token; an answer that is given up is never drained, so the engine sees the
/// disconnect at once.
/// </summary>
internal sealed class UpstreamClient : IDisposable
{
    private static readonly TimeSpan s_connectTimeout = TimeSpan.FromSeconds(5);

    private readonly HttpMessageInvoker _local;
    private readonly HttpMessageInvoker _remote;
    private readonly ConcurrentDictionary<DnsEndPoint, ConnectCount> _connects = new();

    public UpstreamClient()
    {
        _local = new HttpMessageInvoker(Handler(proxy: false));
        _remote = new HttpMessageInvoker(Handler(proxy: true));
    }

    /// <summary>Sends and waits for the headers of the answer.</summary>
    public Task<HttpResponseMessage> SendAsync(Replica replica, HttpRequestMessage message, CancellationToken cancel) =>
        (replica.IsRemote ? _remote : _local).SendAsync(message, cancel);

    /// <summary>How many connections have been opened to the host of a replica.</summary>
    /// <remarks>When this is the same before and after a failed request, the request went over a reused connection: no other was there.</remarks>
    public int ConnectsTo(Replica replica)
    {
        if (replica.Connects is not { } count)
        {
            var target = replica.TargetOf(InferenceRoute.Chat);
            replica.Connects = count = Count(new DnsEndPoint(target.IdnHost, target.Port));
        }

        return count.Value;
    }

    public void Dispose()
    {
        _local.Dispose();
        _remote.Dispose();
    }

    private ConnectCount Count(DnsEndPoint host) => _connects.GetOrAdd(host, static _ => new ConnectCount());

    private SocketsHttpHandler Handler(bool proxy) => new()
    {
        UseProxy = proxy,
        UseCookies = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        ConnectTimeout = s_connectTimeout,
        // Disposing an unfinished answer must close its connection, not read on.
        ResponseDrainTimeout = TimeSpan.Zero,
        MaxResponseDrainSize = 0,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),
        EnableMultipleHttp2Connections = true,
        ConnectCallback = ConnectAsync,
    };

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancel).ConfigureAwait(false);
            Count(context.DnsEndPoint).Add();
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
