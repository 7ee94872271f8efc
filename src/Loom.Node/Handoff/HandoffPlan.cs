using Loom.Core.Gpus;
using Loom.Node.Inventory;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Wire;

namespace Loom.Node.Handoff;

/// <summary>What a prepared engine means for the plan of its pool. Pure.</summary>
internal static class HandoffPlan
{
    /// <summary>The pool as the document wants one of its replicas to run; what the document leaves out stays the pool's.</summary>
    public static PoolPlan Of(PoolPlan pool, HandoffDocument document, GpuSnapshot gpus)
    {
        var engine = pool.Engine;
        if (engine.Kind == EngineKinds.LlamaServer && document.BinaryPath is { } binary)
        {
            engine = engine with { Binary = binary, Version = document.EngineVersion ?? engine.Version };
        }

        // The provisioner writes the configured arguments down, too: they are not given twice.
        if (!document.Flags.IsEmpty && !document.Flags.SequenceEqual(engine.Args))
        {
            engine = engine with { Args = [.. engine.Args, .. document.Flags] };
        }

        if (!document.Env.IsEmpty)
        {
            engine = engine with { Env = engine.Env.SetItems(document.Env) };
        }

        var plan = pool with { Engine = engine, Slots = document.Slots ?? document.SlotsTotal ?? pool.Slots };
        if (document.DeviceMask is { } mask)
        {
            plan = plan with { DeviceMask = NodeGpus.Pin([.. mask.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)], engine.Kind, gpus), DeviceMaskIsGiven = true };
        }

        return document.Model is { } model ? Loading(plan, model) : plan;
    }

    /// <summary>Whether two plans start the same engine with the same model.</summary>
    public static bool Same(PoolPlan one, PoolPlan other) =>
        one.Engine.Kind == other.Engine.Kind
        && one.Engine.Binary == other.Engine.Binary
        && one.Engine.Args.SequenceEqual(other.Engine.Args)
        && one.Engine.Env.Count == other.Engine.Env.Count && one.Engine.Env.All(v => other.Engine.Env.TryGetValue(v.Key, out var same) && same == v.Value)
        && one.EffectiveSlots == other.EffectiveSlots
        && one.DeviceMask.SequenceEqual(other.DeviceMask)
        && one.Models[0] == other.Models[0];

    /// <summary>Whether a file at that path is the model this reference leads to is for the provisioner; a name the pool knows is enough here.</summary>
    private static PoolPlan Loading(PoolPlan plan, HandoffModel model) =>
        plan.ModelIds.Contains(model.Id) || model.Path is not { } path ? plan.Loading(model.Id)
        : ModelReference.IdFor("file:" + path) == model.Id ? plan.Loading("file:" + path)
        : plan.Loading(model.Id);
}
