using System.Collections.Immutable;
using Loom.Core.Gpus;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Node.Settings;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Inventory;

/// <summary>Joins the inventory of GPUs to this machine: where its sources come from, and whether the masks of the configuration name what is there.</summary>
public static partial class NodeGpus
{
    /// <summary>Makes the inventory, looks once, judges the masks by what is there, and goes on looking.</summary>
    /// <param name="options">Which sources, how often, which masks.</param>
    /// <param name="supervisor">Runs <c>nvidia-smi</c>, and knows which processes are Loom's own.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Told of devices that come and go.</param>
    /// <param name="cancellationToken">Ends the first look.</param>
    /// <returns>The inventory, running; dispose it last.</returns>
    /// <exception cref="GpuMaskException">A mask that was written down names what is not there.</exception>
    public static async Task<GpuInventory> StartAsync(NodeOptions options, ISupervisor supervisor, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var logger = loggers.CreateLogger("pool-managerd");
        var inventory = new GpuInventory(Sources(options, supervisor, time), options.Gpus.Interval, time, logger);
        try
        {
            var found = await inventory.ScanAsync(cancellationToken).ConfigureAwait(false);
            if (MaskTroubles(options, found) is { IsEmpty: false } troubles)
            {
                throw new GpuMaskException(string.Join("; ", troubles));
            }

            TellOfCpu(options, found, logger);
            inventory.Start();
            return inventory;
        }
        catch
        {
            await inventory.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>
    /// Turns indices into UUIDs, for the life of this node: when a card drops out, the numbers of those behind it change, and an engine must not move to
    /// another card for that. Pools on the CPU get an empty mask. Pure.
    /// </summary>
    public static NodeOptions Pin(NodeOptions options, GpuSnapshot gpus) =>
        options with { Pools = [.. options.Pools.Select(p => p with { DeviceMask = Pin(p.DeviceMask, p.Engine.Kind, gpus) })] };

    /// <summary>The same for one mask; what names nothing here is left out.</summary>
    public static ImmutableArray<string> Pin(ImmutableArray<string> mask, string kind, GpuSnapshot gpus) =>
        kind is EngineKinds.Embedded or EngineKinds.OpenAI ? [] : [.. GpuMask.Select(mask, gpus.Devices).Devices.Select(d => d.Uuid)];

    /// <summary>What is wrong with the masks that were written down; empty = all can be had. Pure.</summary>
    public static ImmutableArray<string> MaskTroubles(NodeOptions options, GpuSnapshot gpus)
    {
        var troubles = ImmutableArray.CreateBuilder<string>();
        if (options.Gpus.MaskIsGiven && GpuMask.Trouble("serving.provisioner.gpu_mask", options.Gpus.Mask, gpus) is { } trouble)
        {
            troubles.Add(trouble);
        }

        foreach (var pool in options.Pools.Where(p => p.DeviceMaskIsGiven))
        {
            if (MaskTrouble(pool, gpus) is { } of)
            {
                troubles.Add(of);
            }
        }

        return troubles.ToImmutable();
    }

    /// <summary>What is wrong with the mask of one pool; null = it can be had, or is nobody's wish.</summary>
    public static string? MaskTrouble(PoolPlan pool, GpuSnapshot gpus) =>
        pool.DeviceMaskIsGiven ? GpuMask.Trouble($"serving.pools.{pool.Id}.device_mask", pool.DeviceMask, gpus) : null;

    /// <summary>Says once that the default mask means the CPU here; nothing where a GPU is found or the CPU was asked for.</summary>
    private static void TellOfCpu(NodeOptions options, GpuSnapshot gpus, ILogger logger)
    {
        if (gpus.Devices.IsEmpty && !GpuMask.IsNone(options.Gpus.Mask) && options.Pools.Any(p => p.Engine.Kind is EngineKinds.LlamaServer or EngineKinds.Command))
        {
            LogCpu(logger, gpus.Trouble ?? "no device");
        }
    }

    /// <summary>Where the configuration has GPUs looked for, best first.</summary>
    public static ImmutableArray<IGpuSource> Sources(NodeOptions options, ISupervisor supervisor, TimeProvider time)
    {
        bool Ours(int pid) => ProcessIdentities.SessionOf(pid) is { } session && supervisor.Processes.Any(p => p.Pid == session);
        IGpuSource nvml = new NvmlSource(
            () => NvmlLibrary.TryLoad(NvmlLibrary.FileName, out var library, out var trouble) ? (library, "") : (null, trouble), MachineProbe.NvidiaDevices, Ours, time);
        IGpuSource smi = new NvidiaSmiSource(new SmiTool(new OneShot(supervisor, options, time), options).RunAsync, Ours);
        IGpuSource mock = new MockGpus(options.Gpus.MockCount);
        return options.Gpus.Source switch
        {
            GpuSourceChoice.Nvml => [nvml],
            GpuSourceChoice.NvidiaSmi => [smi],
            GpuSourceChoice.Mock => [mock],
            _ => [nvml, smi, mock],
        };
    }

    [LoggerMessage(EventId = 342, Level = LogLevel.Information, Message = "no GPU: engines run on the CPU ({Why})")]
    private static partial void LogCpu(ILogger logger, string why);

    /// <summary>Runs nvidia-smi as every helper is run.</summary>
    private sealed class SmiTool(OneShot oneShot, NodeOptions options)
    {
        private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

        public async Task<GpuToolResult?> RunAsync(ImmutableArray<string> arguments, CancellationToken cancellationToken)
        {
            if (ToolPath.Find("nvidia-smi", options.Environment) is not { } program)
            {
                return null;
            }

            try
            {
                var end = await oneShot.RunAsync("gpu-scan", [program, .. arguments], options.WorkingDirectory, options.Environment, s_patience, cancellationToken).ConfigureAwait(false);
                return new GpuToolResult(end.Code, end.Tail, end.Reason);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
            {
                return new GpuToolResult(null, [], e.Message); // a full disk, say: no reason to stop looking
            }
        }
    }
}

/// <summary>A mask that was written down names a GPU this machine does not have. The message lists those it has.</summary>
public sealed class GpuMaskException(string message) : Exception(message);
