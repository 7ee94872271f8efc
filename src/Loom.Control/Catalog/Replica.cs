using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>
/// One replica in one <see cref="ReplicaSnapshot"/>. Immutable but for <see cref="Load"/>, which all snapshots that name the replica share.
/// </summary>
public sealed class Replica
{
    private readonly Uri?[] _targets;

    internal Replica(ReplicaStatus status, ReplicaLoad load)
    {
        Status = status;
        Load = load;
        IsRemote = string.Equals(status.EngineKind, "openai", StringComparison.Ordinal);
        UpstreamModelJson = status.UpstreamModel is { } model ? System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(model, CatalogJson.Default.String) : null;
        _targets = [Target(status, "/chat/completions"), Target(status, "/completions"), Target(status, "/embeddings")];
    }

    /// <summary>What its node last said.</summary>
    public ReplicaStatus Status { get; }

    /// <summary>True for a remote provider: its refusals are passed through, and its secret comes from the configuration.</summary>
    public bool IsRemote { get; }

    internal ReplicaLoad Load { get; }

    /// <summary><see cref="ReplicaStatus.UpstreamModel"/> as a JSON string, or null when the client's bytes go upstream unchanged.</summary>
    internal byte[]? UpstreamModelJson { get; }

    /// <summary>Whether work may be sent. While another model is brought up, the old one serves on as long as it has an address.</summary>
    internal bool IsReady => Status.State is ReplicaState.Ready or ReplicaState.Reloading && Status.Url is not null;

    /// <summary>Whether work for it may wait: it serves now or is on its way to serve.</summary>
    internal bool CanBeWaitedFor =>
        Status.State is ReplicaState.Ready or ReplicaState.Provisioning or ReplicaState.Starting or ReplicaState.Unready or ReplicaState.Reloading;

    internal Uri TargetOf(InferenceRoute route) => _targets[(int)route]!;

    internal bool Serves(string model) => IsRemote || string.Equals(Status.Model, model, StringComparison.Ordinal);

    private static Uri? Target(ReplicaStatus status, string path) => status.Url is null ? null : new Uri(status.Url + path);
}

/// <summary>The routes that reach an engine.</summary>
internal enum InferenceRoute
{
    Chat,
    Completions,
    Embeddings,
}
