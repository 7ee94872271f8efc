using System.Net;
using System.Net.Sockets;
using System.Text;
using Loom.Control;
using Loom.Control.Nodes;
using Loom.Wire;
using Xunit;

namespace Loom.SystemTests.Gateway;

/// <summary>A control plane on free ports with fake engines behind it, and a client in front.</summary>
internal sealed class GatewayHarness : IAsyncDisposable, INodeLink
{
    private readonly List<FakeEngine> _engines = [];
    private readonly List<ReplicaStatus> _statuses = [];

    private GatewayHarness(ControlOptions options) =>
        Plane = new ControlPlane(options, this, TimeProvider.System, new Random(1), Log, faults: () => Failed);

    /// <summary>What the rest of the process is said to have lost.</summary>
    public IReadOnlyList<string> Failed { get; set; } = [];

    public static TimeSpan Deadline { get; } = TimeSpan.FromSeconds(90);

    public ControlPlane Plane { get; }

    public ListLog Log { get; } = new();

    public HttpClient Client { get; private set; } = null!;

    public System.Collections.Concurrent.ConcurrentQueue<(ReplicaId Replica, string Reason)> Faults { get; } = new();

    public FakeEngine Engine => _engines[0];

    public IReadOnlyList<FakeEngine> Engines => _engines;

    public static async Task<GatewayHarness> StartAsync(
        int engines = 1, int slots = 4, Func<ControlOptions, ControlOptions>? options = null, Func<ReplicaStatus, ReplicaStatus>? status = null)
    {
        var set = new ControlOptions();
        set = set with { Api = set.Api with { Bind = new IPEndPoint(IPAddress.Loopback, 0), MetricsPort = 0, RunToken = "run-token" } };
        var harness = new GatewayHarness(options?.Invoke(set) ?? set);
        for (var i = 0; i < engines; i++)
        {
            var engine = await FakeEngine.StartAsync();
            harness._engines.Add(engine);
            var one = new ReplicaStatus
            {
                Id = new ReplicaId("node1", "default", $"r{i}"),
                State = ReplicaState.Ready,
                EngineKind = "mock",
                Model = "demo",
                Models = ["demo"],
                SlotsTotal = slots,
                Url = engine.Url,
            };
            harness._statuses.Add(status?.Invoke(one) ?? one);
        }

        harness.Publish();
        await harness.Plane.StartAsync(CancellationToken.None);
        harness.Client = new HttpClient { BaseAddress = harness.Plane.ApiAddress, Timeout = Deadline };
        return harness;
    }

    public void Publish(Func<ReplicaStatus, ReplicaStatus>? change = null) =>
        Plane.Replicas.Publish([.. _statuses.Select(s => change?.Invoke(s) ?? s)]);

    /// <summary>Makes the next reports throw, as no part of the program should.</summary>
    public bool FailReport { get; set; }

    public void ReportFault(ReplicaId replica, string reason)
    {
        if (FailReport)
        {
            throw new InvalidOperationException("made to fail");
        }

        Faults.Enqueue((replica, reason));
    }

    /// <summary>What the node does when it is asked for an operation.</summary>
    public Func<PoolCommand, Task<OperationStatus>> Operate { get; set; } = static _ => throw new NotSupportedException("this test's node carries out no operations");

    public Task<OperationStatus> RunAsync(string nodeId, PoolCommand command, Action<OperationStatus> progress, CancellationToken cancel) => Operate(command);

    public Task<HttpResponseMessage> ChatAsync(string body, Action<HttpRequestMessage>? with = null, CancellationToken cancel = default) =>
        PostAsync("/v1/chat/completions", body, with, cancel);

    public Task<HttpResponseMessage> PostAsync(string path, string body, Action<HttpRequestMessage>? with = null, CancellationToken cancel = default)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        with?.Invoke(request);
        return Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancel);
    }

    /// <summary>A connection on which a test writes and reads bytes itself.</summary>
    public async Task<RawClient> RawAsync()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(Plane.ApiAddress.Host, Plane.ApiAddress.Port);
        return new RawClient(socket);
    }

    public async Task<string> MetricsAsync()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.Authorization = new("Bearer", "run-token");
        using var response = await Client.SendAsync(request);
        return await response.Content.ReadAsStringAsync();
    }

    /// <summary>Waits until something can be seen in the metrics.</summary>
    public async Task UntilMetricAsync(string line)
    {
        using var deadline = new CancellationTokenSource(Deadline);
        string text;
        while (!(text = await MetricsAsync()).Contains(line, StringComparison.Ordinal))
        {
            Assert.False(deadline.IsCancellationRequested, $"no '{line}' in:\n{text}");
            await Task.Yield();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await Plane.DisposeAsync();
        foreach (var engine in _engines)
        {
            await engine.KillAsync();
            await engine.DisposeAsync();
        }
    }
}

/// <summary>A bare HTTP/1.1 connection.</summary>
internal sealed class RawClient(Socket socket) : IDisposable
{
    private readonly byte[] _buffer = new byte[64 * 1024];

    public async Task SendAsync(string text) => await socket.SendAsync(Encoding.UTF8.GetBytes(text));

    public Task PostAsync(string path, string body, string headers = "") =>
        SendAsync($"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{headers}Content-Length: {Encoding.UTF8.GetByteCount(body)}\r\n\r\n{body}");

    /// <summary>Reads until the text is there; fails at the end of the connection.</summary>
    public async Task<string> ReadUntilAsync(string text)
    {
        var seen = new StringBuilder();
        using var deadline = new CancellationTokenSource(GatewayHarness.Deadline);
        while (!seen.ToString().Contains(text, StringComparison.Ordinal))
        {
            var read = await socket.ReceiveAsync(_buffer, deadline.Token);
            Assert.True(read > 0, $"connection ended before '{text}': {seen}");
            seen.Append(Encoding.UTF8.GetString(_buffer, 0, read));
        }

        return seen.ToString();
    }

    /// <summary>Reads to the end of the connection.</summary>
    public async Task<string> ReadToEndAsync()
    {
        var seen = new StringBuilder();
        using var deadline = new CancellationTokenSource(GatewayHarness.Deadline);
        try
        {
            while (await socket.ReceiveAsync(_buffer, deadline.Token) is > 0 and var read)
            {
                seen.Append(Encoding.UTF8.GetString(_buffer, 0, read));
            }
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // Closing while the client still sends looks like this, after all that was sent to it has arrived.
        }

        return seen.ToString();
    }

    public void Dispose() => socket.Dispose();
}
