namespace Loom.Control.Nodes;

/// <summary>What the registry of nodes may do to requests that run.</summary>
internal interface INodeTraffic
{
    /// <summary>The node is lost: requests on it go to another replica if they have not begun to answer, and end with <c>WORKER_RESET</c> otherwise.</summary>
    void Lose(string nodeId);

    /// <summary>The time running work had is over: it ends with <c>POOL_UNREADY</c>.</summary>
    /// <param name="nodeId">The node.</param>
    /// <param name="poolId">One of its pools; null = all.</param>
    void Cut(string nodeId, string? poolId);
}
