using System.Text.Json;
using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>Where requests for one model name may go. Part of an immutable snapshot; <see cref="Stats"/> lives on across snapshots.</summary>
public sealed class ModelRoute
{
    internal ModelRoute(string name, string model, Replica[] offering, RouteStats stats)
    {
        Name = name;
        Model = model;
        Stats = stats;
        Replicas = [.. offering.Where(r => r.Serves(model))];
        Offering = offering;
        ModelJson = name == model ? null : JsonSerializer.SerializeToUtf8Bytes(model, CatalogJson.Default.String);
        CanWait = Replicas.Any(r => r.CanBeWaitedFor);
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

    /// <summary>All replicas whose pool lists the model.</summary>
    internal Replica[] Offering { get; }

    internal RouteStats Stats { get; }

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

/// <summary>Running measurements of one route. Read and written only by the admission desk, under its lock.</summary>
internal sealed class RouteStats
{
    private const double Weight = 0.2;

    /// <summary>Moving average of the time a request holds a slot, in milliseconds; 0 until measured.</summary>
    public double ServiceMs { get; private set; }

    /// <summary>Requests of this route that wait.</summary>
    public int Waiting { get; set; }

    /// <summary>Turn of round-robin placement.</summary>
    public uint Turn { get; set; }

    public void Observe(double serviceMs) => ServiceMs = ServiceMs == 0 ? serviceMs : ServiceMs + (Weight * (serviceMs - ServiceMs));
}
