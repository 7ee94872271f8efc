using Loom.Core.Gpus;
using Loom.Node.Engines;
using Loom.Node.Handoff;
using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>
/// A preload of an engine that somebody describes over the network. He may choose model, slots and arguments; which program runs, and what is loaded into
/// it, stays this machine's choice.
/// </summary>
internal sealed class PreparedPreload(PoolOwner pool, OperationLog log, HandoffDocument document, HandoffSurroundings around, GpuSnapshot gpus, TimeSpan within, CancellationToken stop)
{
    // Variables by which a program is made to run code that is not its own.
    private static readonly string[] s_loaders = ["LD_", "PYTHON", "NODE_", "GGML_BACKEND", "BASH_ENV", "PATH"];

    public async Task<OperationEnd> RunAsync()
    {
        var prepared = document with { State = "prepared", PoolId = document.PoolId ?? pool.State.Plan.Id, ReplicaId = document.ReplicaId ?? "r0" };
        if (prepared.PoolId != pool.State.Plan.Id)
        {
            return OperationEnd.Failed($"prepared.pool_id: expected '{pool.State.Plan.Id}', the pool that is preloaded, found '{prepared.PoolId}'");
        }

        if (HandoffPolicy.Refusal(prepared, around) is { } wrong)
        {
            return OperationEnd.Failed($"prepared.{wrong}");
        }

        var resolved = await pool.Effects.PrepareAsync(pool.State.Plan, log, stop).ConfigureAwait(false);
        return Refusal(pool.State.Plan, prepared, resolved) is { } refusal
            ? OperationEnd.Failed(refusal)
            : await new TakeOver(pool, log, prepared, gpus, within, stop).RunAsync().ConfigureAwait(false);
    }

    /// <summary>Null = the program and its surroundings are this machine's own; else what is not. Pure.</summary>
    internal static string? Refusal(PoolPlan plan, HandoffDocument document, PreparedEngine resolved)
    {
        var own = new[] { resolved.Program, plan.Engine.Binary, plan.Engine.Command.IsEmpty ? null : plan.Engine.Command[0] }.Where(p => !string.IsNullOrEmpty(p)).ToList();
        if (document.BinaryPath is { } binary && !own.Contains(binary, StringComparer.Ordinal))
        {
            return $"prepared.binary_path: expected {string.Join(" or ", own.Distinct(StringComparer.Ordinal))}, which this node resolved or has configured, found '{binary}'";
        }

        return document.Env.Keys.FirstOrDefault(IsLoader) is { } name
            ? $"prepared.env: '{name}' decides which code an engine runs; set it in [serving.engines.{plan.Engine.Name}.env] of the node itself"
            : null;
    }

    private static bool IsLoader(string name) => s_loaders.Any(l => name.StartsWith(l, StringComparison.OrdinalIgnoreCase));
}
