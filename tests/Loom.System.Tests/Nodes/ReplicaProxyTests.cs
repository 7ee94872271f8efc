using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text;
using Loom.Node.Link;
using Loom.Node.Plans;
using Loom.SystemTests.Gateway;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Nodes;

/// <summary>The agent's way to the engine behind it: which connections it uses, and what it does when one turns out to be dead.</summary>
public sealed class ReplicaProxyTests
{
    private const string Path = "/v2/pools/default/replicas/r0/v1/chat/completions";

    [Fact]
    public async Task Requests_OneAfterTheOther_ShareAConnection()
    {
        await using var world = await World.StartAsync(_ => true);

        for (var i = 0; i < 5; i++)
        {
            (await world.PostAsync("{}")).ShouldBe(HttpStatusCode.OK);
        }

        world.Connections.ShouldBe(1);
        world.Seen.Count.ShouldBe(5);
    }

    [Fact]
    public async Task ReusedConnection_DiesBeforeAnyByte_IsTriedOnceMoreAndNobodyIsBlamed()
    {
        await using var world = await World.StartAsync(request => request != 2);

        (await world.PostAsync("""{"a":1}""")).ShouldBe(HttpStatusCode.OK);
        (await world.PostAsync("""{"b":2}""")).ShouldBe(HttpStatusCode.OK);

        world.Seen.ShouldBe(["""{"a":1}""", """{"b":2}""", """{"b":2}"""]);
        world.Connections.ShouldBe(2);
        world.Faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task FreshConnection_DiesBeforeAnyByte_IsTheEnginesFault()
    {
        await using var world = await World.StartAsync(_ => false);

        (await world.PostAsync("{}")).ShouldBe(HttpStatusCode.BadGateway);

        world.Seen.Count.ShouldBe(1);
        world.Faults.ShouldHaveSingleItem();
    }

    [Fact]
    public async Task LargeBody_IsStreamedOnAConnectionOfItsOwn()
    {
        await using var world = await World.StartAsync(_ => true);
        (await world.PostAsync("{}")).ShouldBe(HttpStatusCode.OK);
        var large = $"{{\"content\":\"{new string('x', 300 * 1024)}\"}}";

        (await world.PostAsync(large)).ShouldBe(HttpStatusCode.OK);

        world.Seen.Last().Length.ShouldBe(large.Length);
        world.Connections.ShouldBe(2);
    }

    [Theory]
    [InlineData(Path)]
    [InlineData("/v2/pools/default/drain")]
    public async Task BodyThatIsNoBody_IsTheSendersFault(string path)
    {
        await using var world = await World.StartAsync(_ => true);

        var answer = await world.SendAsync($"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ClusterWorld.Token}\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\nno length\r\n");

        answer.ShouldStartWith("HTTP/1.1 400 ");
        answer.ShouldContain("INVALID_PARAMS");
        world.Faults.ShouldBeEmpty();
    }

    // An engine on bare sockets, so that a test can close one at the moment it wants to.
    private sealed class World : IServedNode, IAsyncDisposable
    {
        private readonly TcpListener _engine = new(IPAddress.Loopback, 0);
        private readonly Func<int, bool> _answers;
        private readonly AgentListener _agent;
        private readonly ListLog _log = new();
        private readonly HttpClient _client = new() { Timeout = TimeSpan.FromSeconds(60) };
        private readonly ConcurrentBag<Task> _served = [];
        private Task _accepting = Task.CompletedTask;
        private int _requests;
        private int _connections;

        private World(Func<int, bool> answers)
        {
            _answers = answers;
            _engine.Start();
            var options = new LinkOptions { NodeId = "one", MachineId = "m", Token = ClusterWorld.Token, Bind = new IPEndPoint(IPAddress.Loopback, 0) };
            _client.DefaultRequestHeaders.Authorization = new("Bearer", ClusterWorld.Token);
            _agent = new AgentListener(options, this, new ProxiedRuns(TimeProvider.System), static () => 0, TimeProvider.System, _log);
        }

        public ConcurrentQueue<string> Seen { get; } = new();

        public ConcurrentQueue<string> Faults { get; } = new();

        public int Connections => Volatile.Read(ref _connections);

        public ImmutableArray<ReplicaStatus> Snapshot =>
        [
            new ReplicaStatus
            {
                Id = new ReplicaId("one", "default", "r0"), State = ReplicaState.Ready, EngineKind = EngineKinds.Mock, Model = "demo", Models = ["demo"], SlotsTotal = 4,
                Url = $"http://{_engine.LocalEndpoint}/v1",
            },
        ];

        public static async Task<World> StartAsync(Func<int, bool> answers)
        {
            var world = new World(answers);
            world._accepting = world.AcceptAsync();
            await world._agent.StartAsync(TestContext.Current.CancellationToken);
            return world;
        }

        public async Task<HttpStatusCode> PostAsync(string body)
        {
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using var answer = await _client.PostAsync(new Uri(_agent.Address, Path), content);
            return answer.StatusCode;
        }

        // Bytes as they are; the answer up to the end of the connection.
        public async Task<string> SendAsync(string request)
        {
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, _agent.Address.Port, TestContext.Current.CancellationToken);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(request), TestContext.Current.CancellationToken);
            using var reader = new StreamReader(client.GetStream());
            return await reader.ReadToEndAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(120), TestContext.Current.CancellationToken);
        }

        public async IAsyncEnumerable<ImmutableArray<ReplicaStatus>> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await Task.Yield();
            yield return Snapshot;
        }

        public UpstreamCredentials CredentialsOf(ReplicaId replica) => throw new NotSupportedException("this engine is no provider");

        public void ReportFault(ReplicaId replica, string reason) => Faults.Enqueue(reason);

        public Task<OperationStatus> RunAsync(PoolCommand command, Action<OperationStatus> progress, CancellationToken cancellationToken) =>
            throw new NotSupportedException("this node carries out no operations");

        public async ValueTask DisposeAsync()
        {
            _client.Dispose();
            await _agent.DisposeAsync();
            _engine.Stop();
            await _accepting;
            await Task.WhenAll(_served).WaitAsync(TimeSpan.FromSeconds(120));
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                {
                    var client = await _engine.AcceptTcpClientAsync();
                    Interlocked.Increment(ref _connections);
                    _served.Add(ServeAsync(client));
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }

        private async Task ServeAsync(TcpClient client)
        {
            using var connection = client;
            var stream = client.GetStream();
            try
            {
                while (await ReadAsync(stream) is { } body)
                {
                    Seen.Enqueue(body);
                    if (!_answers(Interlocked.Increment(ref _requests)))
                    {
                        return;
                    }

                    await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"u8.ToArray());
                }
            }
            catch (IOException)
            {
                // The other side closed.
            }
        }

        private static async Task<string?> ReadAsync(NetworkStream stream)
        {
            const string Length = "content-length:";
            var seen = new StringBuilder();
            var buffer = new byte[64 * 1024];
            while (true)
            {
                var text = seen.ToString();
                var end = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
                if (end >= 0)
                {
                    var line = text[..end].Split("\r\n").First(l => l.StartsWith(Length, StringComparison.OrdinalIgnoreCase));
                    if (text.Length - end - 4 == int.Parse(line[Length.Length..], System.Globalization.CultureInfo.InvariantCulture))
                    {
                        return text[(end + 4)..];
                    }
                }

                var read = await stream.ReadAsync(buffer);
                if (read == 0)
                {
                    return null;
                }

                seen.Append(Encoding.ASCII.GetString(buffer, 0, read));
            }
        }
    }
}
