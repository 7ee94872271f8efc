using Loom.Wire;

namespace Loom.Control.Nodes;

/// <summary>
/// What the control plane may ask of the node that runs a replica. In HOME a call in memory, in CLOUD a request to the node agent.
/// </summary>
public interface INodeLink
{
    /// <summary>Tells the node that a request to its replica met a transport fault or a 5xx, so that it probes at once. Never blocks.</summary>
    void ReportFault(ReplicaId replica, string reason);

    /// <summary>Has a node do something with its part of a pool; returns when that has ended, well or not.</summary>
    /// <param name="nodeId">The node.</param>
    /// <param name="command">What to do.</param>
    /// <param name="progress">Called with each change.</param>
    /// <param name="cancel">Ends the wait, not the work.</param>
    /// <returns>The ended operation; <see cref="OperationState.Failed"/> also when the node cannot be reached or refuses.</returns>
    Task<OperationStatus> RunAsync(string nodeId, PoolCommand command, Action<OperationStatus> progress, CancellationToken cancel);
}
