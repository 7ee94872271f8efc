using System.Collections.Immutable;
using Loom.Control.Gateway;
using Loom.Wire;

namespace Loom.Control.Nodes;

/// <summary>
/// For the control plane of a cluster: all requests go to agents, each with the very token its agent registered with. So no node is ever told a secret it did
/// not have. The agents know the secrets of providers themselves.
/// </summary>
internal sealed class AgentCredentials(NodeDirectory nodes) : IUpstreamCredentials
{
    /// <inheritdoc/>
    public ImmutableArray<KeyValuePair<string, string>> HeadersOf(string poolId) => [];

    /// <inheritdoc/>
    public ImmutableArray<KeyValuePair<string, string>> HeadersOf(ReplicaId replica) => nodes.HeadersOf(replica.NodeId);
}
