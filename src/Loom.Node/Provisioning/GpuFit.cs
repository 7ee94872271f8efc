using System.Collections.Immutable;
using Loom.Wire;

namespace Loom.Node.Provisioning;

/// <summary>How a model splits between the memory of GPUs and that of the machine. Pure.</summary>
/// <param name="OnGpus">What lies on the GPUs; together, since engines spread a model over all they are given.</param>
/// <param name="InMemory">What stays in the machine's memory; null = nothing but the engine itself, which is not counted.</param>
public sealed record GpuFit(ModelFit OnGpus, ModelFit? InMemory)
{
    /// <summary>The split for so many of the model's layers.</summary>
    /// <param name="fit">The whole.</param>
    /// <param name="layers">Layers on the GPUs; null = all.</param>
    /// <param name="blocks">Layers the model has, without its output layer; 0 = not known.</param>
    public static GpuFit Of(ModelFit fit, int? layers, int blocks)
    {
        if (layers is not { } some || blocks <= 0 || some > blocks)
        {
            return new GpuFit(fit, null);
        }

        // What was measured is the whole of what lay on the GPUs with as many layers there.
        var share = (double)some / (blocks + 1);
        var weights = (long)(fit.Weights * share);
        var context = (long)(fit.Context * share);
        return new GpuFit(new ModelFit(weights, context) { Measured = fit.Measured }, new ModelFit(fit.Weights - weights, fit.Context - context));
    }

    /// <summary>Memory nobody uses on these devices, whoever uses the rest; null = a device does not say.</summary>
    public static long? Free(ImmutableArray<GpuDevice> devices) => devices.Any(d => d.VramFreeBytes is null) ? null : devices.Sum(d => d.VramFreeBytes!.Value);

    /// <summary>Null when it fits or nobody can say, else why not and what to do.</summary>
    /// <param name="model">Id of the model.</param>
    /// <param name="pool">Pool it is for.</param>
    /// <param name="ctx">Tokens of a slot.</param>
    /// <param name="slots">Slots.</param>
    /// <param name="devices">The GPUs the pool may use.</param>
    /// <param name="freeMemory">Free memory of the machine, bytes.</param>
    public string? Trouble(string model, string pool, int ctx, int slots, ImmutableArray<GpuDevice> devices, long freeMemory)
    {
        if (Free(devices) is { } free && OnGpus.Total > free)
        {
            var others = devices.Sum(d => d.ForeignProcesses ?? 0);
            return $"model '{model}' needs {ByteSize.Text(OnGpus.Total)} of GPU memory ({ByteSize.Text(OnGpus.Weights)} of weights, {ByteSize.Text(OnGpus.Context)} "
                + $"for {slots} x {ctx} tokens, {OnGpus.EngineInWords}), {ByteSize.Text(free)} are free on "
                + $"{string.Join(", ", devices.Select(d => $"GPU {d.DeviceId}"))}{(others > 0 ? $", where {others} processes that are not Loom's run" : "")}; "
                + $"lower ctx, slots or gpu_layers of [serving.pools.{pool}], choose a smaller model or another device_mask, or free memory";
        }

        return InMemory?.Trouble(model, pool, ctx, slots, freeMemory);
    }
}
