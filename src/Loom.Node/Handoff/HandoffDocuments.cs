using System.Collections.Immutable;
using Loom.Core.Gpus;
using Loom.Node.Engines;
using Loom.Node.Inventory;
using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Handoff;

/// <summary>Writes down what provisioning found for a pool. Pure.</summary>
public static class HandoffDocuments
{
    /// <summary>One document for each replica of the pool.</summary>
    /// <param name="pool">The pool.</param>
    /// <param name="prepared">Its engine and model.</param>
    /// <param name="gpus">The GPUs.</param>
    public static IEnumerable<HandoffDocument> Of(PoolPlan pool, PreparedEngine prepared, GpuSnapshot gpus)
    {
        var visible = string.Join(',', NodeGpus.Pin(pool.DeviceMask, pool.Engine.Kind, gpus));
        return Enumerable.Range(0, pool.Replicas).Select(i => new HandoffDocument
        {
            State = "prepared",
            Engine = pool.Engine.Kind,
            EngineVersion = prepared.Version,
            ProvisioningMode = ModeOf(pool.Engine, prepared),
            PoolId = pool.Id,
            ReplicaId = $"r{i}",
            Model = prepared.Model is { } model ? new HandoffModel(model.Id, model.Path, model.Sha256) : new HandoffModel(pool.ModelIds[0]),
            BinaryPath = prepared.Program is ['/', ..] program ? program : null,
            Flags = pool.Engine.Args,
            // Not its variables: they may hold secrets, and the agent has them from the same configuration.
            Env = ImmutableDictionary<string, string>.Empty,
            DeviceMask = visible.Length > 0 ? visible : GpuMask.None,
            Slots = pool.EffectiveSlots,
            Mock = pool.Engine.Kind == EngineKinds.Mock || gpus.Mock,
        });
    }

    private static string ModeOf(EnginePlan engine, PreparedEngine prepared) => engine.Kind switch
    {
        EngineKinds.Embedded => "package",
        EngineKinds.Command => "external",
        EngineKinds.LlamaServer when engine.Binary is not null || prepared.Version is null => "external",
        _ => "binary",
    };
}
