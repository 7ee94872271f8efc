using System.Collections.Immutable;

namespace Loom.Control.Gateway;

/// <summary>Secrets of remote providers. They go upstream and nowhere else.</summary>
public interface IUpstreamCredentials
{
    /// <summary>The headers that open the provider behind a pool, for example <c>Authorization: Bearer ...</c>; empty when it needs none. Called for each request: no work.</summary>
    ImmutableArray<KeyValuePair<string, string>> HeadersOf(string poolId);
}

/// <summary>For a control plane without remote providers.</summary>
public sealed class NoUpstreamCredentials : IUpstreamCredentials
{
    /// <inheritdoc/>
    public ImmutableArray<KeyValuePair<string, string>> HeadersOf(string poolId) => [];
}
