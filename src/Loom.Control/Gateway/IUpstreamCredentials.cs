using System.Diagnostics.CodeAnalysis;

namespace Loom.Control.Gateway;

/// <summary>Secrets of remote providers. They go upstream and nowhere else.</summary>
public interface IUpstreamCredentials
{
    /// <summary>The header that opens the provider behind a pool, for example <c>Authorization: Bearer ...</c>; false when it needs none.</summary>
    bool TryGet(string poolId, [NotNullWhen(true)] out string? header, [NotNullWhen(true)] out string? value);
}

/// <summary>For a control plane without remote providers.</summary>
public sealed class NoUpstreamCredentials : IUpstreamCredentials
{
    /// <inheritdoc/>
    public bool TryGet(string poolId, [NotNullWhen(true)] out string? header, [NotNullWhen(true)] out string? value)
    {
        header = null;
        value = null;
        return false;
    }
}
