using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>
/// One replica in the views that name it. What it is never changes; the counters in its status do, and so does <see cref="Load"/>.
/// </summary>
public sealed class Replica
{
    private static readonly string[] s_paths =
        ["/chat/completions", "/completions", "/embeddings", "/responses", "/messages", "/messages/count_tokens", "/rerank", "/tokenize"];

    private readonly Uri?[] _targets = new Uri?[s_paths.Length];
    private readonly int _offers;
    private volatile ReplicaStatus _status;

    internal Replica(ReplicaStatus status, ReplicaLoad load)
    {
        _status = status;
        Load = load;
        IsRemote = string.Equals(status.EngineKind, "openai", StringComparison.Ordinal);
        UpstreamModelJson = status.UpstreamModel is { } model ? System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(model, CatalogJson.Default.String) : null;
        foreach (var route in Enum.GetValues<InferenceRoute>())
        {
            _offers |= route.IsBasic || status.Capabilities.Contains(route.Capability) ? 1 << (int)route : 0;
        }
    }

    /// <summary>What its node last said.</summary>
    public ReplicaStatus Status => _status;

    /// <summary>True for a remote provider: its refusals are passed through, and its secret comes from the configuration.</summary>
    public bool IsRemote { get; }

    internal ReplicaLoad Load { get; }

    /// <summary><see cref="ReplicaStatus.UpstreamModel"/> as a JSON string, or null when the client's bytes go upstream unchanged.</summary>
    internal byte[]? UpstreamModelJson { get; }

    /// <summary>Whether work may be sent. While another model is brought up, the old one serves on as long as it has an address.</summary>
    internal bool IsReady => _status is { State: ReplicaState.Ready or ReplicaState.Reloading, Url: not null, Node: NodeCondition.Online };

    /// <summary>Whether work for it may wait: it serves now or is on its way to serve. A node that is silent for a moment may come back; one that drains will not.</summary>
    internal bool CanBeWaitedFor => _status.Node != NodeCondition.Draining
        && _status.State is ReplicaState.Ready or ReplicaState.Provisioning or ReplicaState.Starting or ReplicaState.Unready or ReplicaState.Reloading;

    /// <summary>Whether a request for this model may have it loaded: in place of another one, or because nothing is loaded.</summary>
    internal bool CanLoad(string model) =>
        !IsRemote && _status.Models.Contains(model) && _status.Node != NodeCondition.Draining && (_status.State == ReplicaState.Stopped || (_status.Swap && CanBeWaitedFor));

    internal bool Offers(InferenceRoute route) => (_offers & (1 << (int)route)) != 0;

    internal bool Serves(string model) => IsRemote || string.Equals(_status.Model, model, StringComparison.Ordinal);

    /// <summary>Where a request of this route goes.</summary>
    internal Uri TargetOf(InferenceRoute route) => _targets[(int)route] ??= Target(route);

    /// <summary>Address of a path beside the OpenAI routes, for example <c>/slots</c>; null where there is none.</summary>
    internal Uri? Beside(string path)
    {
        const string Base = "/v1";
        var url = _status.Url;
        return url is not null && url.EndsWith(Base, StringComparison.Ordinal) ? new Uri(url[..^Base.Length] + path) : null;
    }

    /// <summary>Takes over what its node now says, if that is no more than other counters. False when it is another replica now.</summary>
    internal bool TryUpdate(ReplicaStatus now)
    {
        var before = _status;
        if (!ReferenceEquals(before, now) && !SameButCounters(before, now))
        {
            return false;
        }

        _status = now;
        return true;
    }

    // Lists compare by identity in a record; they are compared here and made one for the rest.
    private static bool SameButCounters(ReplicaStatus a, ReplicaStatus b) =>
        a.Models.AsSpan().SequenceEqual(b.Models.AsSpan()) && a.Aliases.AsSpan().SequenceEqual(b.Aliases.AsSpan())
        && a.Capabilities.AsSpan().SequenceEqual(b.Capabilities.AsSpan()) && a.DeviceMask.AsSpan().SequenceEqual(b.DeviceMask.AsSpan())
        && a == b with
        {
            Models = a.Models,
            Aliases = a.Aliases,
            Capabilities = a.Capabilities,
            DeviceMask = a.DeviceMask,
            SlotsBusyElsewhere = a.SlotsBusyElsewhere,
            VramFreeBytes = a.VramFreeBytes,
            LoadPercent = a.LoadPercent,
            LastError = a.LastError,
        };

    private Uri Target(InferenceRoute route) =>
        (route == InferenceRoute.Tokenize ? Beside(s_paths[(int)route]) : null) ?? new Uri(_status.Url + s_paths[(int)route]);
}
