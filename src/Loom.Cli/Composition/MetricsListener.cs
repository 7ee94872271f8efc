using System.Net;
using Loom.Core.Telemetry;
using Loom.Core.Web;
using Loom.Node.Link;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Composition;

/// <summary>The agent's metrics port.</summary>
internal sealed class MetricsListener : IAsyncDisposable
{
    private readonly WebServer? _server;
    private readonly RouteServer _application;

    public MetricsListener(LinkOptions options, string runToken, IMetricsPage page, TimeProvider time, ILoggerFactory loggers)
    {
        var log = loggers.CreateLogger("pool-managerd");
        var gate = new GateOptions { Address = options.Bind.Address, Token = options.Token, RunToken = runToken, AllowedHosts = options.AllowedHosts, OpenInference = false };
        _application = new RouteServer(new RouteTable([MetricsRoute.Of(page)]), new Gatekeeper(gate, time, log), log);
        _server = options.MetricsPort is { } port ? new WebServer(new IPEndPoint(options.Bind.Address, port), shapeErrors: false, new ServerLoggers(loggers)) : null;
    }

    /// <summary>Opens the listener; null when it is off.</summary>
    /// <exception cref="PortTakenException">The port is in use.</exception>
    public async Task<string?> OpenAsync(CancellationToken cancellationToken)
    {
        if (_server is null)
        {
            return null;
        }

        try
        {
            await _server.StartAsync<Microsoft.AspNetCore.Http.HttpContext>(_application, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            throw new PortTakenException(_server.Bind, "telemetry.metrics_port", e);
        }

        return _server.Address.GetLeftPart(UriPartial.Authority) + "/metrics";
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
            _server.Dispose();
        }
    }
}
