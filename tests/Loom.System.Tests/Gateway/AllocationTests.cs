using System.Buffers.Text;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Loom.SystemTests.Processes;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gateway;

/// <summary>What one request costs the heap of the gateway once it is warm: the work of the collector is what the slowest requests wait for.</summary>
[Collection(Alone.Name)]
public sealed class AllocationTests
{
    // Measured: 4.7 and 6.4 kB, most of it the client library's request, answer, their headers and its waits. The room above that is for a runtime that differs in
    // details; it is less than 100 bytes for each of the 20 events, so whoever allocates an object for each event finds out here.
    private const int MostWhole = 6 * 1024;
    private const int MostStreamed = 8 * 1024;

    private const int Rounds = 6;
    private const int RequestsARound = 300;

    [Theory]
    [InlineData(false, MostWhole)]
    [InlineData(true, MostStreamed)]
    public async Task WarmRequest_AllocatesNoMoreThanItsRequestToTheEngine(bool stream, int most)
    {
        using var engine = new BareEngine(stream);
        await using var harness = await GatewayHarness.StartAsync(status: s => s with { Url = engine.Url, Mock = false, EngineKind = "llama-server" });
        using var client = new BareClient(harness.Plane.ApiAddress, stream);
        // Pools fill, code is compiled to its end.
        Ask(client, 3 * RequestsARound);

        var least = Enumerable.Range(0, Rounds).Min(_ => Measure(client));
        // On a busy machine the last compilation of the code comes late; until then it allocates more than it will.
        for (var more = 0; more < 10 * Rounds && least >= most; more++)
        {
            least = Math.Min(least, Measure(client));
        }

        least.ShouldBeLessThan(most, "bytes a request");
    }

    // Other work of this process adds to a round and never takes away from it.
    private static long Measure(BareClient client)
    {
        var before = GC.GetTotalAllocatedBytes(precise: true);
        Ask(client, RequestsARound);
        return (GC.GetTotalAllocatedBytes(precise: true) - before) / RequestsARound;
    }

    private static void Ask(BareClient client, int times)
    {
        for (var i = 0; i < times; i++)
        {
            client.Ask();
        }
    }

    // Client and engine work on bare sockets and ready-made bytes, so that what is measured is the gateway's.
    private sealed class BareClient : IDisposable
    {
        private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 30_000 };
        private readonly byte[] _request;
        private readonly byte[] _end;
        private readonly byte[] _buffer = new byte[64 * 1024];

        public BareClient(Uri address, bool stream)
        {
            var body = $$"""{"model":"demo",{{(stream ? "\"stream\":true," : "")}}"messages":[{"role":"user","content":"the weaver"}]}""";
            _request = Encoding.ASCII.GetBytes($"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");
            _end = stream ? "\r\n0\r\n\r\n"u8.ToArray() : BareEngine.WholeEnd.ToArray();
            _socket.Connect(address.Host, address.Port);
        }

        public void Ask()
        {
            _socket.Send(_request);
            var length = 0;
            while (!_buffer.AsSpan(0, length).EndsWith(_end))
            {
                var read = _socket.Receive(_buffer.AsSpan(length));
                length += read > 0 ? read : throw new InvalidOperationException("the gateway closed the connection");
            }

            if (!_buffer.AsSpan(0, length).StartsWith("HTTP/1.1 200"u8))
            {
                throw new InvalidOperationException(Encoding.UTF8.GetString(_buffer, 0, length));
            }
        }

        public void Dispose() => _socket.Dispose();
    }

    private sealed class BareEngine : IDisposable
    {
        private const int Tokens = 20;

        private readonly Socket _listener = new(SocketType.Stream, ProtocolType.Tcp);
        private readonly byte[][] _answer;

        public BareEngine(bool stream)
        {
            _answer = stream ? Streamed() : [Whole()];
            _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _listener.Listen();
            new Thread(Accept) { IsBackground = true, Name = "bare engine" }.Start();
        }

        public static ReadOnlySpan<byte> WholeEnd => "\"total_tokens\":7}}"u8;

        public string Url => $"http://{_listener.LocalEndPoint}/v1";

        public void Dispose() => _listener.Dispose();

        private static byte[] Whole()
        {
            var body = """{"id":"c","object":"chat.completion","created":1,"model":"demo","choices":[{"index":0,"message":{"role":"assistant","content":"cloth"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"""
                + Encoding.ASCII.GetString(WholeEnd);
            return Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        }

        private static byte[][] Streamed()
        {
            var events = Enumerable.Range(0, Tokens).Select(i => $$"""{"id":"c","object":"chat.completion.chunk","created":1,"model":"demo","choices":[{"index":0,"delta":{"content":" w{{i}}"},"finish_reason":null}]}""")
                .Append("""{"id":"c","object":"chat.completion.chunk","created":1,"model":"demo","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":20,"total_tokens":25}}""").Append("[DONE]");
            return
            [
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"u8.ToArray(),
                .. events.Select(e => Encoding.ASCII.GetBytes($"{e.Length + 8:x}\r\ndata: {e}\n\n\r\n")),
                "0\r\n\r\n"u8.ToArray(),
            ];
        }

        private void Accept()
        {
            try
            {
                while (true)
                {
                    var connection = _listener.Accept();
                    connection.NoDelay = true;
                    new Thread(() => Serve(connection)) { IsBackground = true, Name = "bare engine connection" }.Start();
                }
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
                // The test is over.
            }
        }

        private void Serve(Socket connection)
        {
            using var socket = connection;
            var buffer = new byte[16 * 1024];
            var length = 0;
            try
            {
                while (socket.Receive(buffer.AsSpan(length)) is > 0 and var read)
                {
                    length += read;
                    if (!IsWhole(buffer.AsSpan(0, length)))
                    {
                        continue;
                    }

                    length = 0;
                    foreach (var part in _answer)
                    {
                        socket.Send(part);
                    }
                }
            }
            catch (SocketException)
            {
                // The gateway closed.
            }
        }

        private static bool IsWhole(ReadOnlySpan<byte> request)
        {
            var end = request.IndexOf("\r\n\r\n"u8);
            var key = request.IndexOf("Content-Length: "u8);
            return end > 0 && key > 0 && Utf8Parser.TryParse(request[(key + 16)..], out int length, out _) && request.Length == end + 4 + length;
        }
    }
}
