using Loom.Wire;

namespace Loom.Control.Nodes;

/// <summary>
/// What the control plane may ask of the node that runs a replica. In HOME a call in memory, in CLOUD a request to the node agent.
/// </summary>
public interface INodeLink
{
    /// <summary>Tells the node that a request to its replica met a transport fault or a 5xx, so that it probes at once. Never blocks.</summary>
    void ReportFault(ReplicaId replica, string reason);
}
