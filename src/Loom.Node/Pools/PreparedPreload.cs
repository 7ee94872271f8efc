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
    // Which variables make a program load code nobody can list, so it is listed what may be set: numbers and switches of how an engine computes. GPUs are chosen by
    // device_mask, files by the pool.
    private static readonly string[] s_tunable =
    [
        "OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "OMP_WAIT_POLICY", "OMP_DYNAMIC", "GOMP_CPU_AFFINITY", "GOMP_SPINCOUNT", "KMP_AFFINITY", "KMP_BLOCKTIME",
        "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CUDA_LAUNCH_BLOCKING", "CUDA_DEVICE_MAX_CONNECTIONS", "CUDA_SCALE_LAUNCH_QUEUES",
        "LLAMA_ARG_THREADS", "LLAMA_ARG_CTX_SIZE", "LLAMA_ARG_BATCH", "LLAMA_ARG_UBATCH", "LLAMA_ARG_N_GPU_LAYERS", "LLAMA_ARG_FLASH_ATTN", "LLAMA_ARG_CACHE_TYPE_K",
        "LLAMA_ARG_CACHE_TYPE_V", "LLAMA_ARG_CACHE_REUSE", "LLAMA_ARG_CONT_BATCHING", "LLAMA_ARG_MLOCK", "LLAMA_ARG_NO_MMAP", "LLAMA_ARG_NUMA", "LLAMA_ARG_SPLIT_MODE",
        "LLAMA_ARG_TENSOR_SPLIT", "LLAMA_ARG_MAIN_GPU", "LLAMA_ARG_N_PREDICT", "LLAMA_ARG_N_CPU_MOE", "LLAMA_ARG_JINJA", "LLAMA_ARG_THINK",
    ];

    private static readonly string[] s_tunableFamilies = ["GGML_CUDA_", "GGML_VK_"];

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
        var programs = new[] { resolved.Program, plan.Engine.Binary, plan.Engine.Command.IsEmpty ? null : plan.Engine.Command[0] }.Where(p => !string.IsNullOrEmpty(p)).ToList();
        if (document.BinaryPath is { } binary && !programs.Contains(binary, StringComparer.Ordinal))
        {
            return $"prepared.binary_path: expected {string.Join(" or ", programs.Distinct(StringComparer.Ordinal))}, which this node resolved or has configured, found '{binary}'";
        }

        var own = $"set it in [serving.engines.{plan.Engine.Name}.env] of the node itself";
        foreach (var (name, value) in document.Env.OrderBy(e => e.Key, StringComparer.Ordinal))
        {
            if (!s_tunable.Contains(name, StringComparer.Ordinal) && !s_tunableFamilies.Any(f => name.StartsWith(f, StringComparison.Ordinal)))
            {
                return $"prepared.env: '{name}' is not among the variables that may be set over the network (threads, batches and memory of the engine); {own}";
            }

            if (value.Contains('/'))
            {
                return $"prepared.env: '{name}' is a path, expected a number or a word; {own}";
            }
        }

        return null;
    }
}
