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

    internal bool IsReady => Status.State == ReplicaState.Ready && Status.Url is not null;

    /// <summary>Whether work for it may wait: it serves now or is on its way to serve.</summary>
    internal bool CanBeWaitedFor => Status.State is ReplicaState.Ready or ReplicaState.Provisioning or ReplicaState.Starting or ReplicaState.Unready;

    internal Uri TargetOf(InferenceRoute route) => _targets[(int)route]!;

    internal bool Serves(string model) => IsRemote || string.Equals(Status.Model, model, StringComparison.Ordinal);

    private static Uri? Target(ReplicaStatus status, string path) => status.Url is null ? null : new Uri(status.Url + path);
}

/// <summary>Work in flight on one replica. Read and written only by the admission desk, under its lock.</summary>
internal sealed class ReplicaLoad
{
    /// <summary>Requests dispatched and not yet released.</summary>
    public int Leases { get; set; }

    /// <summary>True from a refused connection until the node speaks again or a second has passed: no work is sent meanwhile.</summary>
    public bool Suspect { get; set; }

    /// <summary>The replica in the newest snapshot; null once its node names it no more.</summary>
    public Replica? Current { get; set; }
}

/// <summary>The routes that reach an engine.</summary>
internal enum InferenceRoute
{
    Chat,
    Completions,
    Embeddings,
}
