using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using Loom.Core.Loops;
using Loom.Core.Web;
using Loom.Node.Link;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Mock.Nodes;

/// <summary>What a control plane answered one of the nodes.</summary>
/// <param name="Node">The node.</param>
/// <param name="Did"><c>register</c>, <c>heartbeat</c>, <c>late</c>, <c>impostor</c> or <c>leave</c>.</param>
/// <param name="Status">Status of the answer; 0 = none came.</param>
/// <param name="Message">What it said, or why none came.</param>
/// <param name="News">Whether it differs from the answer before.</param>
public sealed record MockAnswer(string Node, string Did, int Status, string Message, bool News);

/// <summary>
/// A double of many nodes in one process: each registers and beats, all answer on one port, and a script makes them fall silent, flap, lie about their clock
/// or be slow. Everything they answer is marked mock.
/// </summary>
public sealed class MockNodes : IAsyncDisposable
{
    // A start of ten thousand must not look like an attack.
    private const int StartsAtOnce = 200;

    private readonly MockNodesOptions _options;
    private readonly TimeProvider _time;
    private readonly Action<MockAnswer> _tell;
    private readonly ILogger _log;
    private readonly LinkClient _client;
    private readonly WebServer _server;
    private readonly RouteServer _application;
    private readonly ImmutableArray<MockNode> _nodes;
    private readonly ConcurrentDictionary<string, ReplicaProxy> _proxies = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<(string Did, int Status), long> _counts = new();
    private MockEngine? _engine;
    private BackgroundLoop? _script;
    private BackgroundLoop? _life;

    private MockNodes(MockNodesOptions options, TimeProvider time, Action<MockAnswer> tell, ILoggerFactory loggers)
    {
        _options = options;
        _time = time;
        _tell = tell;
        _log = loggers.CreateLogger("mock-nodes");
        _client = new LinkClient(options.Token, time);
        _nodes = [.. Enumerable.Range(0, options.Count).Select(i => new MockNode(i, options, this, _client, time))];
        var gate = new GateOptions { Address = IPAddress.Loopback, Token = options.Token, OpenInference = false };
        _application = new RouteServer(new RouteTable(Routes()), new Gatekeeper(gate, time, _log), _log);
        _server = new WebServer(new IPEndPoint(IPAddress.Loopback, options.Port), shapeErrors: true, new ServerLoggers(loggers));
    }

    /// <summary>Address of all nodes; each answers below <c>/nodes/{id}</c>.</summary>
    public Uri Address => _server.Address;

    /// <summary>How often each answer came, by what was done and its status.</summary>
    public IReadOnlyDictionary<(string Did, int Status), long> Counts => _counts;

    internal MockGates Gates { get; } = new();

    internal string EngineUrl => _engine!.Url + "/v1";

    /// <summary>Opens the port and begins to register.</summary>
    /// <param name="options">How they behave.</param>
    /// <param name="time">Clock.</param>
    /// <param name="tell">Told what the control plane answers; on any thread.</param>
    /// <param name="loggers">Where to log.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <exception cref="IOException">The port is taken.</exception>
    public static async Task<MockNodes> StartAsync(
        MockNodesOptions options, TimeProvider time, Action<MockAnswer> tell, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var nodes = new MockNodes(options, time, tell, loggers);
        try
        {
            var engine = new MockEngineOptions { Model = options.Model, Slots = 4096, JitterSeed = options.Seed };
            nodes._engine = await MockEngine.StartAsync(engine, time, static () => { }, cancellationToken).ConfigureAwait(false);
            await nodes._server.StartAsync<HttpContext>(nodes._application, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await nodes.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        nodes._life = BackgroundLoop.Start("mock nodes", nodes.LiveAsync, nodes._log);
        nodes._script = BackgroundLoop.Start("script", nodes.PlayAsync, nodes._log);
        return nodes;
    }

    /// <summary>Opens a gate; the in-process form of <c>POST /mock/gates/NAME/release</c>.</summary>
    public void Release(string gate) => Gates.Release(gate);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var loop in new[] { _script, _life }.OfType<BackgroundLoop>())
        {
            await loop.DisposeAsync().ConfigureAwait(false);
        }

        await _server.StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        _server.Dispose();
        foreach (var proxy in _proxies.Values)
        {
            proxy.Dispose();
        }

        if (_engine is not null)
        {
            await _engine.DisposeAsync().ConfigureAwait(false);
        }

        _client.Dispose();
    }

    internal string AddressOf(string id) => $"{Address.GetLeftPart(UriPartial.Authority)}/nodes/{id}";

    internal void Tell(MockNode node, string did, LinkAnswer answer, bool news)
    {
        var status = answer.Status is { } known ? (int)known : 0;
        _counts.AddOrUpdate((did, status), 1, static (_, n) => n + 1);
        if (news || _options.TellAll)
        {
            _tell(new MockAnswer(node.Id, did, status, answer.Message, news));
        }
    }

    private IEnumerable<ApiRoute> Routes() =>
    [
        new(HttpMethods.Get, "/health", Scopes.None, static call => call.EmptyAsync(StatusCodes.Status200OK)),
        new(HttpMethods.Get, "/nodes/{node}/health", Scopes.None, HealthAsync),
        new(HttpMethods.Post, "/mock/gates/{gate}/release", Scopes.None, ReleaseAsync),
        .. new[] { HttpMethods.Get, HttpMethods.Post }.Select(
            method => new ApiRoute(method, "/nodes/{node}/v2/pools/{pool}/replicas/{replica}/{*rest}", Scopes.Node, ForwardAsync)),
    ];

    private Task HealthAsync(ApiCall call)
    {
        if (Find(call).IsDown)
        {
            call.Http.Abort();
            return Task.CompletedTask;
        }

        return call.EmptyAsync(StatusCodes.Status200OK);
    }

    private Task ReleaseAsync(ApiCall call)
    {
        Release(call["gate"]);
        return call.EmptyAsync(StatusCodes.Status204NoContent);
    }

    private async Task ForwardAsync(ApiCall call)
    {
        var node = Find(call);
        if (node.IsDown)
        {
            call.Http.Abort();
            return;
        }

        await node.HoldAsync(call.Gone).ConfigureAwait(false);
        await _proxies.GetOrAdd(node.Id, static (_, s) => new ReplicaProxy(s.node.Runs, s.node, s.Log), (node, Log: _log)).ForwardAsync(call).ConfigureAwait(false);
    }

    private MockNode Find(ApiCall call) => _nodes.FirstOrDefault(n => n.Id == call["node"])
        ?? throw new ProblemException(new Problem(Loom.Wire.ProblemCode.NotFound, $"there is no mock node '{call["node"]}'"));

    private async Task LiveAsync(CancellationToken cancel)
    {
        var lives = new List<Task>(_nodes.Length);
        foreach (var some in _nodes.Chunk(StartsAtOnce))
        {
            lives.AddRange(some.Select(n => n.RunAsync(cancel)));
            await Task.Delay(TimeSpan.FromMilliseconds(100), _time, cancel).ConfigureAwait(false);
        }

        await Task.WhenAll(lives).ConfigureAwait(false);
    }

    private async Task PlayAsync(CancellationToken cancel)
    {
        var began = _time.GetTimestamp();
        var deeds = new List<Task>();
        foreach (var step in _options.Script)
        {
            var rest = TimeSpan.FromMilliseconds(step.AtMs) - _time.GetElapsedTime(began);
            if (rest > TimeSpan.Zero)
            {
                await Task.Delay(rest, _time, cancel).ConfigureAwait(false);
            }

            if (step.After is { } gate)
            {
                await Gates.WaitAsync(gate, cancel).ConfigureAwait(false);
            }

            deeds.AddRange(step.Indices(_nodes.Length).Select(i => _nodes[i].DoAsync(step, cancel)));
        }

        await Task.WhenAll(deeds).ConfigureAwait(false);
    }
}
