using System.Net;
using Loom.Core.Web;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Link;

/// <summary>
/// The agent's port, in HOME and in CLOUD. Single use: constructed, started, stopped. What comes in needs the scope <c>node</c>, but for the health.
/// </summary>
public sealed partial class AgentListener : IAsyncDisposable
{
    private static readonly TimeSpan s_lastWords = TimeSpan.FromSeconds(2);

    private readonly WebServer _server;
    private readonly RouteServer _application;
    private readonly ReplicaProxy _proxy;
    private readonly AgentOperations _operations;
    private readonly TimeProvider _time;
    private readonly ILogger _log;

    /// <param name="options">Where to listen and who may come in.</param>
    /// <param name="node">The node it speaks for.</param>
    /// <param name="runs">Counts what passes through it.</param>
    /// <param name="faults">How many parts of the node have failed for good; asked at each look at the health.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Makes the loggers.</param>
    public AgentListener(LinkOptions options, IServedNode node, ProxiedRuns runs, Func<int> faults, TimeProvider time, ILoggerFactory loggers)
    {
        _time = time;
        _log = loggers.CreateLogger("pool-managerd");
        _proxy = new ReplicaProxy(runs, node, _log);
        _operations = new AgentOperations(node, _log);
        runs.Watch(() => node.Snapshot);
        var gate = new GateOptions { Address = options.Bind.Address, Token = options.Token, RunToken = options.RunToken, AllowedHosts = options.AllowedHosts, OpenInference = false };
        _application = new RouteServer(new RouteTable(new AgentRoutes(node, runs, _proxy, _operations, faults, time).Routes), new Gatekeeper(gate, time, _log), _log, marks: true);
        _server = new WebServer(options.Bind, shapeErrors: true, new ServerLoggers(loggers));
    }

    /// <summary>Address asked for.</summary>
    public IPEndPoint Bind => _server.Bind;

    /// <summary>Address bound, once started.</summary>
    public Uri Address => _server.Address;

    /// <summary>Opens the port.</summary>
    /// <exception cref="PortTakenException">It is in use, or the address is not ours.</exception>
    public async Task StartAsync(CancellationToken cancel)
    {
        try
        {
            await _server.StartAsync<Microsoft.AspNetCore.Http.HttpContext>(_application, cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            throw new PortTakenException(_server.Bind, LinkSettings.Bind.Key, e);
        }

        LogStarted(_log, Address);
    }

    /// <summary>Closes the port; what still runs is cut after two seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        using (var lastWords = new CancellationTokenSource(s_lastWords, _time))
        {
            await _server.StopAsync(lastWords.Token).ConfigureAwait(false);
        }

        _server.Dispose();
        await _operations.DisposeAsync().ConfigureAwait(false);
        _proxy.Dispose();
    }

    [LoggerMessage(EventId = 361, Level = LogLevel.Information, Message = "agent on {Address}")]
    private static partial void LogStarted(ILogger logger, Uri address);
}
