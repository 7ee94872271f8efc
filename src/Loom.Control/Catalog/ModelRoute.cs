using System.Text.Json;
using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>What kind of name a route has.</summary>
internal enum RouteKind
{
    /// <summary>Alias of a pool.</summary>
    Alias,

    /// <summary>Id of a model.</summary>
    Model,

    /// <summary>The main model of the pool named default.</summary>
    Default,
}

/// <summary>Where requests for one model name may go. Part of an immutable snapshot; its measurements live on across snapshots.</summary>
public sealed class ModelRoute
{
    private readonly RouteKind _kind;

    internal ModelRoute(string name, RouteKind kind, string model, Replica[] offering, ModelStats stats, RouteTurns turns)
    {
        Name = name;
        Model = model;
        Stats = stats;
        Turns = turns;
        _kind = kind;
        Offering = offering;
        Replicas = [.. offering.Where(r => r.Serves(model))];
        ModelJson = name == model ? null : JsonSerializer.SerializeToUtf8Bytes(model, CatalogJson.Default.String);
        CanWait = Replicas.Any(r => r.CanBeWaitedFor) || offering.Any(r => r.CanLoad(model));
    }

    /// <summary>Name the client used: an alias, a model id or <c>default</c>.</summary>
    public string Name { get; }

    /// <summary>Model id behind the name; the value of metric labels.</summary>
    public string Model { get; }

    /// <summary><see cref="Model"/> as a JSON string where <see cref="Name"/> is not it: engines know their model's own name only.</summary>
    internal byte[]? ModelJson { get; }

    /// <summary>Whether a request that finds no free slot may wait for one.</summary>
    public bool CanWait { get; }

    /// <summary>Replicas that have the model loaded, sorted by node, pool and replica.</summary>
    internal Replica[] Replicas { get; }

    /// <summary>All replicas whose pool lists the model, sorted likewise.</summary>
    internal Replica[] Offering { get; }

    internal ModelStats Stats { get; }

    internal RouteTurns Turns { get; }

    /// <summary>Whether a replica is one of <see cref="Replicas"/>, without looking through them.</summary>
    internal bool Includes(Replica replica)
    {
        var status = replica.Status;
        return replica.Serves(Model) && _kind switch
        {
            RouteKind.Alias => status.Aliases.Contains(Name),
            RouteKind.Model => status.Models.Contains(Model),
            _ => status.Id.PoolId == ReplicaSnapshot.DefaultName,
        };
    }

    /// <summary>Why no replica can serve now or soon, in words for the caller.</summary>
    internal (ProblemCode Code, string Reason) Unavailability()
    {
        if (Replicas.Length == 0)
        {
            return (ProblemCode.PoolUnready, $"model '{Model}' is listed by pool '{Offering[0].Status.Id.PoolId}' but not loaded (loaded: '{Offering[0].Status.Model}')");
        }

        var failed = Array.Find(Replicas, r => r.Status.State == ReplicaState.Failed);
        var code = failed is null ? ProblemCode.PoolUnready : ProblemCode.PoolUnavailable;
        var shown = failed ?? Replicas[0];
        var state = shown.Status.State.ToString().ToLowerInvariant();
        var error = shown.Status.LastError is { } last ? $": {last}" : "";
        return (code, $"no replica of model '{Model}' can take work: {Replicas.Length} known, '{shown.Status.Id}' is {state}{error}");
    }

    internal int? LoadPercent()
    {
        int? best = null;
        foreach (var replica in Replicas)
        {
            if (replica.IsReady)
            {
                return null;
            }

            best = replica.Status.LoadPercent > (best ?? -1) ? replica.Status.LoadPercent : best;
        }

        return best;
    }
}
