using System.Diagnostics.Metrics;
using System.Net;
using Loom.Control.Admission;
using Loom.Control.Api;
using Loom.Control.Catalog;
using Loom.Control.Explain;
using Loom.Control.Gateway;
using Loom.Control.Nodes;
using Loom.Control.Placement;
using Loom.Control.Sessions;
using Loom.Control.Swaps;
using Loom.Core.Telemetry;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control;

/// <summary>What else in the process answers at the address of the API.</summary>
/// <param name="Join">Given the control plane's own routes, tells all routes as of now.</param>
/// <param name="Metrics">Shown on the same page.</param>
public sealed record ApiGuests(Func<IReadOnlyList<ApiRoute>, Func<RouteTable>> Join, IMetricsPage Metrics);

/// <summary>
/// The control plane: one address that answers for all pools. Single use: constructed, started, stopped. Replicas may be published at any time between
/// construction and disposal.
/// </summary>
public sealed partial class ControlPlane : IAsyncDisposable
{
    private static readonly TimeSpan s_lastWords = TimeSpan.FromSeconds(2);

    private readonly ControlOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Meter _meter = new("Loom.Control");
    private readonly ControlMetrics _metrics;
    private readonly AdmissionDesk _desk;
    private readonly UpstreamClient _upstream;
    private readonly NodeLinks _links;
    private readonly SlotSettler _settler;
    private readonly SwapCarrier _swaps;
    private readonly ManagementPart _management;
    private readonly HealthRoutes _health;
    private readonly ApiApplication _application;
    private readonly WebServer _api;
    private readonly WebServer? _metricsServer;
    private int _disposed;
    private readonly RouteServer _metricsApplication;

    /// <param name="options">Settings.</param>
    /// <param name="nodes">The way to the node in this process; null = there is none. Nodes that register are reached at their address.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Source of chance for placement and jitter; used by this instance alone.</param>
    /// <param name="loggers">Where to log.</param>
    /// <param name="credentials">Secrets of remote providers; null = none, and to agents goes what each registered with.</param>
    /// <param name="faults">What has failed for good in the rest of the process, one sentence each; asked at each look at the health. Null = nothing ever.</param>
    /// <param name="nodeMetrics">Metrics of the node in the same process, shown on the same page; null = there is none.</param>
    /// <param name="guests">What else in the process answers at the same address; null = nothing.</param>
    public ControlPlane(
        ControlOptions options, INodeLink? nodes, TimeProvider time, Random random, ILoggerFactory loggers, IUpstreamCredentials? credentials = null,
        Func<IReadOnlyList<string>>? faults = null, IMetricsPage? nodeMetrics = null, ApiGuests? guests = null)
    {
        _options = options;
        _time = time;
        _log = loggers.CreateLogger("queen-rbee");
        Metrics = new PrometheusExporter(meter => ReferenceEquals(meter, _meter));
        _metrics = new ControlMetrics(_meter);
        _desk = new AdmissionDesk(options.Admission, PlacementStrategies.Create(options.Admission.Strategy, random), time, random);
        _upstream = new UpstreamClient(options.Gateway.ConnectTimeout, direct: options.Nodes.Registers);
        Replicas.Changed += _desk.Apply;
        Replicas.Heard += _desk.Heard;
        _metrics.Observe(_desk, Replicas);
        Nodes = new NodeDirectory(options.Nodes, Replicas, new NodeTraffic(_desk, Replicas), _meter, time, _log);
        _links = new NodeLinks(Nodes, nodes, time, _log);
        credentials ??= options.Nodes.Registers ? new AgentCredentials(Nodes) : new NoUpstreamCredentials();
        _settler = new SlotSettler(_desk, _upstream, credentials, _metrics, time, _log);
        _swaps = new SwapCarrier(_desk, _links, time, _log);
        var requests = new RequestLog();
        var services = new GatewayServices(
            options.Gateway, options.Admission, Replicas, _desk, _upstream, credentials, _links,
            new SessionTable(new PriceList(options.Tasks.Prices), time), requests, _settler,
            _metrics, time, _log);
        var gatekeeper = new Gatekeeper(options.Api.Gate, time, _log);
        _management = new ManagementPart(options.Tasks, options.DrainDeadline, services, _log);
        _health = new HealthRoutes(Replicas, Nodes, _desk, options.Tasks.StateFolder, () => [.. faults?.Invoke() ?? [], .. _management.Faults, .. LoopFaults]);
        var meta = new MetaRoutes(Replicas, options.Admission, options.Api);
        IEnumerable<IMetricsPage?> pages = [Metrics, nodeMetrics, guests?.Metrics];
        var metricsRoute = MetricsRoute.Of([.. pages.OfType<IMetricsPage>()]);
        var explain = new ExplainRoutes(requests, _desk.StrategyName);
        ApiRoute[] own =
        [
            .. new ModelRoutes(Replicas).Routes, .. new NodeRoutes(Nodes).Routes, .. _management.Routes, .. explain.Routes, .. _health.Routes, .. meta.Routes, metricsRoute,
            .. options.Dev ? new WorkerRoutes(Replicas, time).Routes : [],
        ];
        var table = new RouteTable(own);
        var others = guests?.Join(own) ?? (() => table);
        var router = new ApiRouter(new RouteServer(others, gatekeeper, _log), gatekeeper, _log);
        _application = new ApiApplication(router, services);
        var serverLoggers = new ServerLoggers(loggers);
        _api = new WebServer(options.Api.Bind, shapeErrors: true, serverLoggers);
        _metricsApplication = new RouteServer(new RouteTable([metricsRoute]), gatekeeper, _log);
        _metricsServer = options.Api.MetricsPort is { } port ? new WebServer(new IPEndPoint(options.Api.Bind.Address, port), shapeErrors: false, serverLoggers) : null;
    }

    /// <summary>What the nodes say about their replicas, as published by <see cref="Nodes"/>.</summary>
    public ReplicaTable Replicas { get; } = new();

    /// <summary>The nodes: those that registered, and the one in this process.</summary>
    public NodeDirectory Nodes { get; }

    /// <summary>The control plane's metrics as Prometheus text.</summary>
    public PrometheusExporter Metrics { get; }

    private IEnumerable<string> LoopFaults =>
        new[] { ("settling cancelled slots", _settler.Fault), ("loading models on demand", _swaps.Fault) }.Where(l => l.Item2 is not null).Select(l => $"{l.Item1} has ended: {l.Item2!.Message}");

    /// <summary>Address of the API, once started.</summary>
    public Uri ApiAddress => _api.Address;

    /// <summary>Address of the metrics listener, once started; null when it is off.</summary>
    public Uri? MetricsAddress => _metricsServer?.Address;

    /// <summary>
    /// Waits until no request of this control plane runs on one run of a replica: true when that is so, false when the deadline came first. Publish the
    /// replica as draining, or with its new address, before; else new work may follow.
    /// </summary>
    /// <param name="replica">The replica.</param>
    /// <param name="url">Address of the run, as it was published.</param>
    /// <param name="deadline">Ends the wait.</param>
    public Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline) => _desk.QuietAsync(replica, url, deadline);

    /// <summary>How long no request of this control plane has run on one run of a replica; zero while one runs, null when the run is not known.</summary>
    public TimeSpan? IdleFor(ReplicaId replica, string url) => _desk.IdleFor(replica, url);

    /// <summary>Ends what still runs on one run of a replica: elsewhere if nothing of the answer went out, else with <c>POOL_UNREADY</c>. Does not wait.</summary>
    public void Cut(ReplicaId replica, string url) => _desk.Cut(replica, url);

    /// <summary>
    /// Fails what runs on a node that is lost: elsewhere if nothing of the answer went out, else with <c>WORKER_RESET</c>. Publish its replicas as unready
    /// or gone before.
    /// </summary>
    public void LoseNode(string nodeId) => _desk.LoseNode(nodeId);

    /// <summary>Opens the listeners.</summary>
    /// <exception cref="PortTakenException">A port is in use or an address is not ours; nothing is left open.</exception>
    public async Task StartAsync(CancellationToken cancel)
    {
        Nodes.Start();
        _management.Start();
        await OpenAsync(_api, _application, "serving.bind", cancel).ConfigureAwait(false);
        if (_metricsServer is not null)
        {
            await OpenAsync(_metricsServer, _metricsApplication, "telemetry.metrics_port", cancel).ConfigureAwait(false);
        }

        LogStarted(_log, ApiAddress, MetricsAddress);
    }

    /// <summary>
    /// Stops admitting work (503), lets running and waiting requests finish until the deadline, then ends them with an error and closes the listeners.
    /// </summary>
    /// <param name="drain">How long requests may take to finish.</param>
    /// <param name="hurry">Ends the draining at once.</param>
    public async Task StopAsync(TimeSpan drain, CancellationToken hurry)
    {
        _health.Stopping = true;
        _desk.Close();
        _management.Close();
        await DrainAsync(drain, hurry).ConfigureAwait(false);
        _desk.DismissWaiting();
        _management.Shutdown();
        _application.Shutdown();
        await _management.DisposeAsync().ConfigureAwait(false);
        using var lastWords = new CancellationTokenSource(s_lastWords, _time);
        await _api.StopAsync(lastWords.Token).ConfigureAwait(false);
        if (_metricsServer is not null)
        {
            await _metricsServer.StopAsync(lastWords.Token).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await StopAsync(TimeSpan.Zero, CancellationToken.None).ConfigureAwait(false);
        await Nodes.DisposeAsync().ConfigureAwait(false);
        await _links.DisposeAsync().ConfigureAwait(false);
        await _swaps.DisposeAsync().ConfigureAwait(false);
        await _settler.DisposeAsync().ConfigureAwait(false);
        Replicas.Changed -= _desk.Apply;
        Replicas.Heard -= _desk.Heard;
        _api.Dispose();
        _metricsServer?.Dispose();
        _upstream.Dispose();
        _desk.Dispose();
        Metrics.Dispose();
        _metrics.Dispose();
    }

    private async Task DrainAsync(TimeSpan drain, CancellationToken hurry)
    {
        var until = _time.GetTimestamp() + (long)(drain.TotalSeconds * _time.TimestampFrequency);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20), _time);
        while (_application.Running + _management.Running > 0 && _time.GetTimestamp() < until && !hurry.IsCancellationRequested)
        {
            await tick.WaitForNextTickAsync(CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task OpenAsync<TContext>(WebServer server, Microsoft.AspNetCore.Hosting.Server.IHttpApplication<TContext> application, string setting, CancellationToken cancel)
        where TContext : notnull
    {
        try
        {
            await server.StartAsync(application, cancel).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or System.Net.Sockets.SocketException)
        {
            await DisposeAsync().ConfigureAwait(false);
            throw new PortTakenException(server.Bind, setting, e);
        }
    }

    /// <summary>Takes slots away from requests on behalf of the nodes.</summary>
    private sealed class NodeTraffic(AdmissionDesk desk, ReplicaTable replicas) : INodeTraffic
    {
        public void Lose(string nodeId) => desk.LoseNode(nodeId);

        public void Cut(string nodeId, string? poolId)
        {
            foreach (var status in replicas.Current.Replicas.Select(r => r.Status))
            {
                if (status.Id.NodeId == nodeId && (poolId is null || status.Id.PoolId == poolId) && status.Url is { } url)
                {
                    desk.Cut(status.Id, url);
                }
            }
        }
    }

    [LoggerMessage(EventId = 320, Level = LogLevel.Information, Message = "API on {Api}, metrics on {Metrics}")]
    private static partial void LogStarted(ILogger logger, Uri api, Uri? metrics);
}
