using System.Collections.Immutable;
using Loom.Control.Nodes;
using Loom.Wire;

namespace Loom.Control.Gateway;

/// <summary>Secrets of remote providers, and of the agents of a cluster. They go upstream and nowhere else.</summary>
public interface IUpstreamCredentials
{
    /// <summary>The headers that open the provider behind a pool, for example <c>Authorization: Bearer ...</c>; empty when it needs none. Called for each request: no work.</summary>
    ImmutableArray<KeyValuePair<string, string>> HeadersOf(string poolId);

    /// <summary>The headers of a request to one replica: of its provider, or of the agent in front of it. Called for each request: no work.</summary>
    ImmutableArray<KeyValuePair<string, string>> HeadersOf(ReplicaId replica) => HeadersOf(replica.PoolId);
}

/// <summary>Who gets secrets.</summary>
internal static class UpstreamCredentials
{
    /// <summary>The headers that open a replica. A worker that somebody registered by hand gets none: whoever registers it chooses its pool.</summary>
    public static ImmutableArray<KeyValuePair<string, string>> HeadersFor(this IUpstreamCredentials credentials, ReplicaStatus status) =>
        status.Source == WorkerRoutes.Source ? [] : credentials.HeadersOf(status.Id);
}

/// <summary>For a control plane without remote providers.</summary>
public sealed class NoUpstreamCredentials : IUpstreamCredentials
{
    /// <inheritdoc/>
    public ImmutableArray<KeyValuePair<string, string>> HeadersOf(string poolId) => [];
}
