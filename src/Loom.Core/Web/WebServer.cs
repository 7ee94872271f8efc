using System.Net;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace Loom.Core.Web;

/// <summary>
/// A web server on one address, without the hosting layer: nothing it does depends on the environment or on files beside the program.
/// </summary>
public sealed class WebServer : IDisposable
{
    private const int HeaderBytes = 32 * 1024;
    private const int ResponseBuffer = 256 * 1024;

    private readonly KestrelServer _server;

    /// <param name="bind">Where to listen.</param>
    /// <param name="shapeErrors">Whether the server's own errors get our shape; the application must then mark when a request runs.</param>
    /// <param name="loggers">Where the server logs.</param>
    public WebServer(IPEndPoint bind, bool shapeErrors, ILoggerFactory loggers)
    {
        Bind = bind;
        var options = new KestrelServerOptions { AddServerHeader = false, ApplicationServices = NoServices.Instance };
        options.Limits.MaxRequestHeadersTotalSize = HeaderBytes;
        options.Limits.MaxRequestLineSize = HeaderBytes;
        options.Limits.RequestHeadersTimeout = TimeSpan.FromSeconds(30);
        options.Limits.MaxResponseBufferSize = ResponseBuffer;
        // Bodies are limited by the reader, which can say so in our own words. Answers keep the server's own least rate; inference lifts it.
        options.Limits.MaxRequestBodySize = null;
        options.Limits.MinRequestBodyDataRate = null;
        options.Listen(bind, listen =>
        {
            listen.Protocols = HttpProtocols.Http1;
            if (shapeErrors)
            {
                listen.Use(next => connection =>
                {
                    ServerErrors.Attach(connection);
                    return next(connection);
                });
            }
        });
        // Nothing here blocks, so a request may run on the thread that received it: one thread switch less.
        var transport = new SocketTransportFactory(Options.Create(new SocketTransportOptions { UnsafePreferInlineScheduling = true }), loggers);
        _server = new KestrelServer(Options.Create(options), transport, loggers);
    }

    /// <summary>Address asked for.</summary>
    public IPEndPoint Bind { get; }

    /// <summary>Address bound, once started: with port 0 the port the system chose.</summary>
    public Uri Address => new(_server.Features.Get<IServerAddressesFeature>()!.Addresses.Single());

    /// <summary>Opens the port.</summary>
    /// <exception cref="IOException">The port is taken, or the address is not ours.</exception>
    public Task StartAsync<TContext>(IHttpApplication<TContext> application, CancellationToken cancel)
        where TContext : notnull => _server.StartAsync(application, cancel);

    /// <summary>Closes the port, waits for running requests until the token fires, then aborts them.</summary>
    public Task StopAsync(CancellationToken abort) => _server.StopAsync(abort);

    public void Dispose() => _server.Dispose();

    private sealed class NoServices : IServiceProvider
    {
        public static NoServices Instance { get; } = new();

        public object? GetService(Type serviceType) => null;
    }
}
