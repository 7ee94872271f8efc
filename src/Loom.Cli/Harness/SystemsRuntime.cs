using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net.Sockets;
using Loom.Agents.Project;
using Loom.Control;
using Loom.Core.Gpus;
using Loom.Core.Loops;
using Loom.Core.Settings;
using Loom.Core.Web;
using Loom.Harness.Api;
using Loom.Harness.Architecture;
using Loom.Harness.Components.BuiltIns.Web;
using Loom.Harness.Execution;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Harness;

/// <summary>
/// The dataflow systems of a project under <c>loom up</c>: they answer at the address of the API, side by side. In a project that serves no models that address is opened for them
/// alone.
/// </summary>
internal sealed class SystemsRuntime : IAsyncDisposable
{
    private readonly SettingsSnapshot _settings;
    private readonly ProjectRun _run;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _log;
    private readonly EndpointRoutes _endpoints = new();
    private readonly ConcurrentDictionary<string, HarnessApi> _running = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _kill = new();
    private readonly ImmutableArray<HostedSystem> _systems;
    private readonly HarnessRoutes _routes;
    private readonly HarnessOptions _options;
    private ImmutableArray<BackgroundLoop> _loops = [];
    private WebServer? _server;
    private bool _stopped;

    /// <param name="listed">The systems.</param>
    /// <param name="settings">The configuration.</param>
    /// <param name="run">The project's run.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Loom's own log.</param>
    public SystemsRuntime(ImmutableArray<ListedSystem> listed, SettingsSnapshot settings, ProjectRun run, TimeProvider time, ILoggerFactory loggers)
    {
        (_settings, _run, _time, _loggers) = (settings, run, time, loggers);
        _options = HarnessOptions.From(settings);
        _log = loggers.CreateLogger("harness");
        _systems = [.. listed.Select(l => new HostedSystem(l, this, _log))];
        _routes = new HarnessRoutes(() => _running);
        Guests = new ApiGuests(own =>
        {
            _endpoints.Keep([.. own, .. _routes.Routes]);
            return () => _endpoints.Table;
        }, Metrics);
    }

    /// <summary>What the API is given to answer besides its own.</summary>
    public ApiGuests Guests { get; }

    /// <summary>What the systems measure.</summary>
    public HarnessMetrics Metrics { get; } = new();

    /// <summary>How all systems stand.</summary>
    public ImmutableArray<SystemRecord> Records => [.. _systems.Select(s => s.Record)];

    /// <summary>Address of the API; known once started.</summary>
    public string Address { get; private set; } = "";

    /// <summary>Token of this run.</summary>
    public string Token => _run.Token;

    /// <summary>Starts the systems and waits until each runs or has failed.</summary>
    /// <param name="api">Address of the API; null: there is none, and one is opened.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="PortTakenException">The address is in use; no system was started.</exception>
    public async Task StartAsync(Uri? api, CancellationToken ct)
    {
        Address = api?.GetLeftPart(UriPartial.Authority) ?? await OpenAsync(ct).ConfigureAwait(false);
        _run.ShowSystems(() => Records);
        _loops = [.. _systems.Select(s => BackgroundLoop.Start($"system {s.Record.Name}", _ => s.RunAsync(_kill.Token), _log))];
        await Task.WhenAll(_systems.Select(s => s.Settled)).WaitAsync(ct).ConfigureAwait(false);
    }

    /// <summary>Drains all systems. A second call does nothing.</summary>
    /// <param name="hurry">Ends the drain.</param>
    public async Task StopAsync(CancellationToken hurry)
    {
        if (_stopped)
        {
            return;
        }

        _stopped = true;
        await using var registration = hurry.UnsafeRegister(static kill => ((CancellationTokenSource)kill!).Cancel(), _kill);
        foreach (var system in _systems)
        {
            system.Drain();
        }

        await Task.WhenAll(_loops.Select(l => l.Completion)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_server is not null)
        {
            await _server.StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        foreach (var loop in _loops)
        {
            await loop.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var system in _systems)
        {
            system.Dispose();
        }

        _server?.Dispose();
        Metrics.Dispose();
        _kill.Dispose();
    }

    /// <summary>What constructors of components may ask for.</summary>
    public HarnessServices Services() => new(_settings, _time, _loggers, _endpoints);

    /// <summary>What a system gets from this process.</summary>
    public HarnessWorld World(HarnessServices services) => new()
    {
        Time = _time,
        Random = new Random(),
        Logs = _loggers,
        Services = services,
        Options = _options,
        Environment = _settings.Environment,
        Supervisor = _run.Supervisor,
        Gpus = FixedGpus.None,
        Instance = _run.RunId,
    };

    /// <summary>Lets a system answer; false when another one has its name.</summary>
    public bool Add(string name, HarnessApi api) => _running.TryAdd(name, api);

    /// <summary>Ends that.</summary>
    public void Remove(string name) => _running.TryRemove(name, out _);

    /// <summary>Says that a system is not what it was.</summary>
    public void Changed() => _run.SystemsChanged();

    private async Task<string> OpenAsync(CancellationToken ct)
    {
        var options = ControlOptions.From(_settings).Api;
        var gatekeeper = new Gatekeeper(options.Gate with { RunToken = _run.Token }, _time, _log);
        _endpoints.Keep(
        [
            new ApiRoute("GET", "/health", Scopes.None, call => call.EmptyAsync(200)),
            new ApiRoute("GET", "/health/live", Scopes.None, call => call.EmptyAsync(200)),
            new ApiRoute("GET", "/health/ready", Scopes.None, call => call.EmptyAsync(_systems.All(s => s.Record.IsWell) ? 200 : 503)),
            .. _routes.Routes, MetricsRoute.Of(Metrics),
        ]);
        _server = new WebServer(options.Bind, shapeErrors: false, new ServerLoggers(_loggers));
        try
        {
            await _server.StartAsync<HttpContext>(new RouteServer(() => _endpoints.Table, gatekeeper, _log), ct).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw new PortTakenException(options.Bind, "serving.bind", e);
        }

        var address = _server.Address.GetLeftPart(UriPartial.Authority);
        _run.SetAddress("api", address);
        return address;
    }
}
