using System.Collections.Immutable;
using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Link;

/// <summary>What the agent's listener needs of the node behind it.</summary>
public interface IServedNode
{
    /// <summary>How all replicas are.</summary>
    ImmutableArray<ReplicaStatus> Snapshot { get; }

    /// <summary>The present snapshot, then each newer one.</summary>
    IAsyncEnumerable<ImmutableArray<ReplicaStatus>> WatchAsync(CancellationToken cancellationToken);

    /// <summary>Secrets of the provider behind a replica of kind <c>openai</c>.</summary>
    UpstreamCredentials CredentialsOf(ReplicaId replica);

    /// <summary>A request to a replica met a transport fault or a 5xx.</summary>
    void ReportFault(ReplicaId replica, string reason);

    /// <summary>Does something with a pool.</summary>
    Task<OperationStatus> RunAsync(PoolCommand command, Action<OperationStatus> progress, CancellationToken cancellationToken);
}

/// <summary>The node of this process as its listener sees it.</summary>
/// <param name="node">The node.</param>
public sealed class ServedNode(NodeAgent node) : IServedNode
{
    /// <inheritdoc/>
    public ImmutableArray<ReplicaStatus> Snapshot => node.Snapshot;

    /// <inheritdoc/>
    public IAsyncEnumerable<ImmutableArray<ReplicaStatus>> WatchAsync(CancellationToken cancellationToken) => node.WatchAsync(cancellationToken);

    /// <inheritdoc/>
    public UpstreamCredentials CredentialsOf(ReplicaId replica) => node.CredentialsOf(replica);

    /// <inheritdoc/>
    public void ReportFault(ReplicaId replica, string reason) => node.ReportFault(replica, reason);

    /// <inheritdoc/>
    public Task<OperationStatus> RunAsync(PoolCommand command, Action<OperationStatus> progress, CancellationToken cancellationToken) =>
        node.RunAsync(command, progress, cancellationToken);
}
