using System.Collections.Immutable;
using Loom.Core.Web;
using Loom.Node.Link;
using Loom.Node.Plans;
using Loom.Testing;
using Loom.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Nodes;

public sealed class AgentOperationsTests
{
    private static readonly PoolCommand s_purge = new PoolCommand.Purge { PoolId = "chat" };

    private readonly ManualTimeProvider _time = new();
    private readonly ServedNode _node = new();

    [Fact]
    public async Task Begin_ConflictAtOnce_IsRefused()
    {
        await using var operations = new AgentOperations(_node, NullLogger.Instance);
        _node.End.SetException(new OperationConflictException("busy"));

        var refusal = await Should.ThrowAsync<ProblemException>(operations.BeginAsync(s_purge, _time));
        refusal.Problem.Code.ShouldBe(ProblemCode.Conflict);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Begin_TroubleAfterTheAnswer_TheOperationEndsFailed(bool conflict)
    {
        await using var operations = new AgentOperations(_node, NullLogger.Instance);
        var beginning = operations.BeginAsync(s_purge, _time);
        _time.Advance(TimeSpan.FromSeconds(10));
        var begun = await beginning;
        begun.Status.ShouldBe(OperationState.Running);
        var watch = operations.Watch(begun.Id).ShouldNotBeNull();

        _node.End.SetException(conflict ? new OperationConflictException("busy") : new InvalidDataException("busy"));
        var told = new List<OperationStatus>();
        await foreach (var status in watch.ReadAllAsync(TestContext.Current.CancellationToken))
        {
            told.Add(status);
        }

        told[^1].Status.ShouldBe(OperationState.Failed);
        told[^1].Error.ShouldNotBeNull().ShouldContain("busy");
        operations.Find(begun.Id).ShouldBe(told[^1]);
    }

    private sealed class ServedNode : IServedNode
    {
        public TaskCompletionSource<OperationStatus> End { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ImmutableArray<ReplicaStatus> Snapshot => [];

        public IAsyncEnumerable<ImmutableArray<ReplicaStatus>> WatchAsync(CancellationToken cancellationToken) => AsyncEnumerable.Empty<ImmutableArray<ReplicaStatus>>();

        public UpstreamCredentials CredentialsOf(ReplicaId replica) => UpstreamCredentials.None;

        public void ReportFault(ReplicaId replica, string reason)
        {
        }

        public Task<OperationStatus> RunAsync(PoolCommand command, Action<OperationStatus> progress, CancellationToken cancellationToken) => End.Task;
    }
}
