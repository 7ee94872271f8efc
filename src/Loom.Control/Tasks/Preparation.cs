using System.Collections.Immutable;
using Loom.Control.Catalog;
using Loom.Wire;

namespace Loom.Control.Tasks;

/// <summary>What must happen before a model can answer, read from its replicas. Pure.</summary>
internal static class Preparation
{
    /// <summary>Steps of the replicas on their way; none when one is ready.</summary>
    public static TaskPreparation Of(ModelRoute route)
    {
        var steps = ImmutableArray.CreateBuilder<PreparationStep>();
        foreach (var replica in route.Offering)
        {
            var status = replica.Status;
            if (status.State == ReplicaState.Ready && replica.Serves(route.Model))
            {
                return new TaskPreparation([]);
            }

            var (kind, what) = status.State switch
            {
                ReplicaState.Provisioning => ("model_fetch", "fetches engine and model"),
                ReplicaState.Starting => ("pool_warmup", "loads the model"),
                ReplicaState.Reloading => ("pool_warmup", "loads another model"),
                ReplicaState.Ready when status.Swap => ("pool_warmup", $"has '{status.Model}' loaded and will swap"),
                _ => ("", ""),
            };
            if (kind.Length > 0)
            {
                var done = status.LoadPercent is { } percent ? $" ({percent} %)" : "";
                steps.Add(new PreparationStep(
                    $"model:{route.Model}", kind, $"{status.Id.NodeId}/{status.Id.PoolId}", $"{status.Id.ReplicaName} {what}{done}", status.LoadMs, null,
                    status.State == ReplicaState.Ready ? "pending" : "running"));
            }
        }

        return new TaskPreparation(steps.ToImmutable());
    }
}
