using Loom.Node.Plans;

namespace Loom.Node.Pools;

/// <summary>Whether a pool's model can be changed at all. Pure.</summary>
internal static class ModelChange
{
    /// <summary>Null = it can; else why not and what to do.</summary>
    public static string? Refusal(PoolPlan plan) => plan.Engine.Kind switch
    {
        EngineKinds.OpenAI => $"pool '{plan.Id}' is the provider '{plan.Engine.Provider}': nothing runs here that could load another model; "
            + $"ask the provider for the model by its name, or change [llm.{plan.Engine.Provider}]",
        EngineKinds.Command when !plan.Engine.Command.Concat(plan.Engine.Args).Any(a => a.Contains("{model}", StringComparison.Ordinal)) =>
            $"the command of [serving.engines.{plan.Engine.Name}] has no {{model}}, so it cannot be told to load another one; write {{model}} where the model belongs",
        _ => null,
    };
}
