using System.Diagnostics.Metrics;
using System.IO.Pipelines;
using System.Net;
using System.Text;
using Loom.Control.Catalog;
using Loom.Control.Nodes;
using Loom.Testing;
using Loom.Testing.Nodes;
using Loom.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Nodes;

/// <summary>Whoever waits for an operation of a node gets an answer, whatever becomes of the node.</summary>
public sealed class NodeLinksTests : IAsyncDisposable, INodeTraffic
{
    private readonly ManualTimeProvider _time = new();
    private readonly Meter _meter = new("test");
    private readonly Agent _agent = new();
    private readonly NodeDirectory _nodes;
    private readonly NodeLinks _links;

    public NodeLinksTests()
    {
        _nodes = new NodeDirectory(new NodesOptions { Registers = true }, new ReplicaTable(), this, _meter, _time, NullLogger.Instance);
        _nodes.Register(RegistryWorld.Registration("a"), null);
        _links = new NodeLinks(_nodes, null, _time, NullLogger.Instance, _agent);
    }

    [Fact]
    public async Task Operation_NodeIsRemoved_Fails()
    {
        var running = RunAsync();
        await _agent.Followed.WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken);

        _nodes.Remove("a").ShouldBeTrue();
        _time.Advance(TimeSpan.FromSeconds(2));

        var ended = await running.WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken);
        ended.Status.ShouldBe(OperationState.Failed);
        ended.Error!.ShouldContain("removed");
    }

    [Fact]
    public async Task Operation_AgentSaysNothingMore_Fails()
    {
        var running = RunAsync();
        await _agent.Followed.WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken);

        await Deadline.Until(
            () =>
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                return running.IsCompleted;
            },
            "the operation is given up");

        (await running).Error!.ShouldContain("silent");
    }

    [Fact]
    public async Task Operation_AgentSaysThatItIsStillAtIt_GoesOn()
    {
        var running = RunAsync();
        await _agent.Followed.WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken);

        for (var i = 0; i < 20; i++)
        {
            var read = _agent.Read;
            await _agent.SayAsync(": still at it\n\n");
            await Deadline.Until(() => _agent.Read > read, "it is read");
            _time.Advance(TimeSpan.FromSeconds(15));
        }

        running.IsCompleted.ShouldBeFalse();
        await _agent.SayAsync("data: {\"id\":\"x\",\"kind\":\"preload\",\"pool_id\":\"chat\",\"status\":\"succeeded\"}\n\n");
        (await running.WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken)).Status.ShouldBe(OperationState.Succeeded);
    }

    public async ValueTask DisposeAsync()
    {
        await _links.DisposeAsync();
        await _nodes.DisposeAsync();
        _meter.Dispose();
    }

    void INodeTraffic.Lose(string nodeId)
    {
    }

    void INodeTraffic.Cut(string nodeId, string? poolId)
    {
    }

    private Task<OperationStatus> RunAsync() =>
        _links.RunAsync("a", new PoolCommand.Preload { PoolId = "chat" }, static _ => { }, TestContext.Current.CancellationToken);

    /// <summary>Accepts every operation and tells of it what the test says.</summary>
    private sealed class Agent : HttpMessageHandler
    {
        private readonly TaskCompletionSource _followed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile Pipe _events = new();
        private int _read;

        public Task Followed => _followed.Task;

        public int Read => Volatile.Read(ref _read);

        public async Task SayAsync(string text) => await _events.Writer.WriteAsync(Encoding.UTF8.GetBytes(text));

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            if (request.Method == HttpMethod.Post)
            {
                return Task.FromResult(new HttpResponseMessage(HttpStatusCode.Accepted) { Content = new StringContent("{\"operation_id\":\"x\"}") });
            }

            _events = new Pipe();
            _followed.TrySetResult();
            return Task.FromResult(new HttpResponseMessage(HttpStatusCode.OK) { Content = new StreamContent(new Counting(_events.Reader.AsStream(), this)) });
        }

        /// <summary>Counts what was read before the next read, so that a test knows when it was heard.</summary>
        private sealed class Counting(Stream events, Agent agent) : Stream
        {
            public override bool CanRead => true;

            public override bool CanSeek => false;

            public override bool CanWrite => false;

            public override long Length => throw new NotSupportedException();

            public override long Position
            {
                get => throw new NotSupportedException();
                set => throw new NotSupportedException();
            }

            private bool _some;

            public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
            {
                if (_some)
                {
                    Interlocked.Increment(ref agent._read);
                }

                _some = true;
                return await events.ReadAsync(buffer, cancellationToken);
            }

            public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

            public override void Flush()
            {
            }

            public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

            public override void SetLength(long value) => throw new NotSupportedException();

            public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        }
    }
}
