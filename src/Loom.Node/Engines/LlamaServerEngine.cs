using System.Collections.Immutable;
using static Loom.Node.Engines.LaunchPlaceholders;

namespace Loom.Node.Engines;

/// <summary>llama.cpp's own server, behind the NUMA prefix where that changes anything.</summary>
public sealed class LlamaServerEngine : IEngineKind
{
    public EngineLaunch Launch(LaunchRequest request)
    {
        var pool = request.Pool;
        var command = new List<string>(NumaPrefix(request))
        {
            request.Prepared.Program,
            "--host", "127.0.0.1",
            "--port", Number(request.Port),
            "--model", request.Model,
            "--alias", request.ModelId,
            "--parallel", Number(pool.EffectiveSlots),
            "--ctx-size", Number((long)request.Ctx * pool.EffectiveSlots),
            "--threads", Number(request.Threads),
            "--n-gpu-layers", Number(pool.GpuLayers ?? (request.UsesGpu ? AllLayers : 0)),
            "--metrics", "--slots", "--no-webui",
        };
        if (pool.Engine.Numa == "distribute")
        {
            command.AddRange(["--numa", "distribute"]);
        }

        if (pool.Deterministic)
        {
            command.Add("--no-cont-batching");
        }

        command.AddRange(Fill(pool.Engine.Args, request));
        return new EngineLaunch([.. command], ImmutableDictionary<string, string>.Empty.Add("OMP_NUM_THREADS", "1"));
    }

    private static string[] NumaPrefix(LaunchRequest request)
    {
        var machine = request.Machine;
        if (machine.NumaNodes < 2 || machine.Numactl is null)
        {
            return [];
        }

        var numa = request.Pool.Engine.Numa;
        if (numa == "interleave")
        {
            return [machine.Numactl, "--interleave=all"];
        }

        return numa.StartsWith("bind:", StringComparison.Ordinal) ? [machine.Numactl, $"--membind={numa[5..]}", $"--cpunodebind={numa[5..]}"] : [];
    }

    // llama.cpp takes any number above the model's own as "all".
    private const int AllLayers = 9999;
}
