using System.Net;
using Loom.Control.Catalog;
using Loom.Core.Web;

namespace Loom.Control.Gateway;

/// <summary>
/// Sends requests to engines and providers. No timeout but the caller's token; an answer that is given up is never drained, so the engine sees the
/// disconnect at once.
/// </summary>
internal sealed class UpstreamClient : IDisposable
{
    private readonly HttpMessageInvoker _local;
    private readonly HttpMessageInvoker _remote;

    /// <param name="connectTimeout">Longest time until a connection is there; a request that meets it ends with <see cref="OperationCanceledException"/>.</param>
    /// <param name="direct">No proxy of the system on the way to a provider: in a cluster an agent stands before it.</param>
    public UpstreamClient(TimeSpan connectTimeout, bool direct = false)
    {
        _local = new HttpMessageInvoker(Handler(proxy: false, connectTimeout));
        _remote = new HttpMessageInvoker(Handler(proxy: !direct, connectTimeout));
    }

    /// <summary>Sends and waits for the headers of the answer.</summary>
    public Task<HttpResponseMessage> SendAsync(Replica replica, UpstreamRequest message, CancellationToken cancel) =>
        (replica.IsRemote ? _remote : _local).SendAsync(message, cancel);

    /// <summary>Asks an engine something beside a client's request.</summary>
    public Task<HttpResponseMessage> AskAsync(Replica replica, HttpRequestMessage message, CancellationToken cancel) =>
        (replica.IsRemote ? _remote : _local).SendAsync(message, cancel);

    public void Dispose()
    {
        _local.Dispose();
        _remote.Dispose();
    }

    private static SocketsHttpHandler Handler(bool proxy, TimeSpan connectTimeout) => new()
    {
        UseProxy = proxy,
        UseCookies = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        ConnectTimeout = connectTimeout,
        // Disposing an unfinished answer must close its connection, not read on.
        ResponseDrainTimeout = TimeSpan.Zero,
        MaxResponseDrainSize = 0,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),
        EnableMultipleHttp2Connections = true,
        ConnectCallback = UpstreamRequest.ConnectAsync,
    };
}
