using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net.Sockets;
using Loom.Agents.Project;
using Loom.Control;
using Loom.Core.Gpus;
using Loom.Core.Settings;
using Loom.Core.Telemetry;
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
internal sealed class SystemsRuntime : IProjectSystems, IAsyncDisposable
{
    private static readonly TimeSpan s_askAgain = TimeSpan.FromSeconds(30);

    private readonly SettingsSnapshot _settings;
    private readonly ProjectRun _run;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;
    private readonly ILogger _log;
    private readonly EndpointRoutes _endpoints = new();
    private readonly ConcurrentDictionary<string, HarnessApi> _running = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _kill = new();
    private readonly HarnessRoutes _routes;
    private readonly HarnessOptions _options;
    private readonly SemaphoreSlim _steering = new(1, 1);
    private readonly SemaphoreSlim _sending = new(1, 1);
    private ImmutableArray<HostedSystem> _systems;
    private WebServer? _server;
    private long? _unsentAt;
    private volatile bool _stopped;

    /// <param name="listed">The systems.</param>
    /// <param name="settings">The configuration.</param>
    /// <param name="run">The project's run.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Loom's own log.</param>
    public SystemsRuntime(ImmutableArray<SystemListing> listed, SettingsSnapshot settings, ProjectRun run, TimeProvider time, ILoggerFactory loggers)
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

    /// <summary>Where metrics are sent; null = nowhere.</summary>
    public OtlpExport? Export { get; init; }

    /// <summary>What the systems measure.</summary>
    public HarnessMetrics Metrics { get; } = new();

    /// <summary>How all systems stand.</summary>
    public ImmutableArray<SystemRecord> Records => [.. _systems.Select(s => s.Record)];

    /// <summary>Address of the API; known once started.</summary>
    public string Address { get; private set; } = "";

    /// <summary>Token of this run.</summary>
    public string Token => _run.Token;

    /// <summary>Starts the systems and waits until each runs or has failed.</summary>
    /// <param name="api">Address of the API; null: there is none, and one is opened for the first system.</param>
    /// <param name="ct">Ends the wait.</param>
    /// <exception cref="PortTakenException">The address is in use; no system was started.</exception>
    public async Task StartAsync(Uri? api, CancellationToken ct)
    {
        Address = api?.GetLeftPart(UriPartial.Authority) ?? (_systems.IsEmpty ? "" : await OpenAsync(ct).ConfigureAwait(false));
        _run.ShowSystems(this);
        await Task.WhenAll(_systems.Where(s => s.Listed.Autostart).Select(s => s.StartAsync(_kill.Token))).WaitAsync(ct).ConfigureAwait(false);
    }

    public Task StartAsync(string name, CancellationToken ct) => SteerAsync(() => AgainAsync(Of(name)), ct);

    public Task StopAsync(string name, CancellationToken ct) => SteerAsync(() => Of(name).DrainAsync(), ct);

    public ImmutableArray<ControlChange> Drift(ImmutableArray<SystemListing> listed)
    {
        var now = _systems;
        return
        [
            .. now.Select(s => new ControlChange(s.Record.Name, Find(listed, s.Listed) switch
            {
                null => "removed",
                var same when same == s.Listed => "unchanged",
                _ => "changed",
            })),
            .. listed.Where(l => now.All(s => s.Listed.Folder != l.Folder)).Select(l => new ControlChange(HostedSystem.NameOf(l), "added")),
        ];
    }

    public async Task<ImmutableArray<ControlChange>> ApplyAsync(ImmutableArray<SystemListing> listed, CancellationToken ct)
    {
        var changes = Drift(listed);
        await SteerAsync(() => PutAsync(listed, ct), ct).ConfigureAwait(false);
        return changes;
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

        // Whoever was just steering has put something else in place of one of them, or soon sees that it is over.
        await _steering.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            await Task.WhenAll(_systems.Select(s => s.DrainAsync())).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        finally
        {
            _steering.Release();
        }

        if (_server is not null)
        {
            await _server.StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        // Also where a stop is over or under way: nothing that is still left may keep this waiting.
        await _kill.CancelAsync().ConfigureAwait(false);
        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);

        foreach (var system in _systems)
        {
            await system.DisposeAsync().ConfigureAwait(false);
        }

        _server?.Dispose();
        Metrics.Dispose();
        _steering.Dispose();
        _sending.Dispose();
        _kill.Dispose();
    }

    /// <summary>Sends the metrics as they are now, since a system is about to leave them. A collector that does not answer is not asked again for a while: many systems may end at once.</summary>
    public async Task SendMetricsAsync()
    {
        if (Export is not { } export)
        {
            return;
        }

        await _sending.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        try
        {
            if (_unsentAt is not { } at || _time.GetElapsedTime(at) > s_askAgain)
            {
                _unsentAt = await Task.Run(export.SendMetrics, CancellationToken.None).ConfigureAwait(false) ? null : _time.GetTimestamp();
            }
        }
        finally
        {
            _sending.Release();
        }
    }

    private static SystemListing? Find(ImmutableArray<SystemListing> listed, SystemListing system) => listed.FirstOrDefault(l => l.Folder == system.Folder);

    private HostedSystem Of(string name) => _systems.FirstOrDefault(s => s.Record.Name == name) ?? throw new InvalidOperationException($"no system of the project is named \"{name}\" any more");

    private async Task SteerAsync(Func<Task> work, CancellationToken ct)
    {
        await _steering.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            RefuseAfterStop();
            await work().ConfigureAwait(false);
        }
        finally
        {
            _steering.Release();
        }
    }

    // Asked again after each wait: a stop begins while somebody is steering, and nothing may be started after it.
    private void RefuseAfterStop()
    {
        if (_stopped)
        {
            throw new InvalidOperationException("the project is stopping");
        }
    }

    private async Task AgainAsync(HostedSystem system)
    {
        if (system.Record.State is "starting" or "running")
        {
            return;
        }

        await system.DrainAsync().ConfigureAwait(false);
        RefuseAfterStop();
        var next = new HostedSystem(system.Listed, this, _log) { Name = system.Record.Name };
        _systems = _systems.Replace(system, next);
        await system.DisposeAsync().ConfigureAwait(false);
        RefuseAfterStop();
        await next.StartAsync(_kill.Token).ConfigureAwait(false);
    }

    // What goes is drained before what comes is started: a name, a route or a folder may pass from one to the other.
    private async Task PutAsync(ImmutableArray<SystemListing> listed, CancellationToken ct)
    {
        if (Address.Length == 0 && !listed.IsEmpty)
        {
            try
            {
                Address = await OpenAsync(ct).ConfigureAwait(false);
            }
            catch (PortTakenException e)
            {
                throw new InvalidOperationException(e.Message, e);
            }
        }

        var before = _systems;
        var leaving = before.Where(s => Find(listed, s.Listed) is not { } now || now.Deployment != s.Listed.Deployment).ToList();
        await Task.WhenAll(leaving.Select(s => s.DrainAsync())).ConfigureAwait(false);
        RefuseAfterStop();
        var starting = new List<HostedSystem>();
        var after = new List<HostedSystem>();
        foreach (var listing in listed)
        {
            var old = before.FirstOrDefault(s => s.Listed.Folder == listing.Folder && !after.Contains(s));
            var stays = old is not null && old.Record.State != "failed" && (old.IsUnderWay || old.Listed == listing);
            var system = stays ? old! : new HostedSystem(listing, this, _log) { Name = old?.Record.Name ?? HostedSystem.NameOf(listing) };
            system.Listed = listing;
            after.Add(system);
            if (system != old && listing.Autostart)
            {
                starting.Add(system);
            }
        }

        _systems = [.. after];
        foreach (var gone in before.Except(after))
        {
            await gone.DisposeAsync().ConfigureAwait(false);
        }

        Changed();
        RefuseAfterStop();
        await Task.WhenAll(starting.Select(s => s.StartAsync(_kill.Token))).ConfigureAwait(false);
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
