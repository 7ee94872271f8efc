using System.Collections.Immutable;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Pools;

/// <summary>The effects of pools on the real world; one for all pools of a node.</summary>
/// <param name="options">Folders and rules.</param>
/// <param name="host">What engines share.</param>
/// <param name="files">What was fetched.</param>
/// <param name="devices">Free memory of the GPUs; null = a machine without.</param>
/// <param name="time">Clock.</param>
/// <param name="logger">Where changes are told.</param>
internal sealed class PoolEffects(NodeOptions options, EngineHost host, PurgeFiles files, IDeviceMemory? devices, TimeProvider time, ILogger logger) : IPoolEffects
{
    private readonly MeasuredMemory _measured = new(options.CacheDir);
    private readonly IdleClock _idle = new(host.Client, time);

    /// <summary>Knows the requests; the engines themselves are asked until somebody better is named.</summary>
    public IReplicaTraffic Traffic { get; set; } = new EngineTraffic(host.Client, time);

    public EngineLoop Engine(EngineOrder order, Action<EngineState> publish)
    {
        var effects = new EngineEffects(options, order.Plan, order.Replica, host, logger, order.Second, order.Prepared);
        return new EngineLoop($"{order.Plan.Id}/{order.Replica}", new EngineMachine(effects.Policy), effects, publish, time, logger);
    }

    public Task<PreparedEngine> PrepareAsync(PoolPlan plan, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken) =>
        host.Provisioner.PrepareAsync(plan, progress, cancellationToken);

    // With all layers on a GPU the threads of an engine have next to nothing to do.
    public bool CoresSuffice(PoolPlan old, EngineRun? run, PoolPlan next, PreparedEngine prepared) =>
        run is null || (next.GpuLayers is null && !host.Machine.Selected(next).Devices.IsEmpty)
        || host.Threads.RoomBeside(old, run.Prepared.Model?.Bytes ?? 0, next, prepared.Model?.Bytes ?? 0);

    public Task<string?> WarmAsync(PoolPlan plan, EngineRun run, CancellationToken cancellationToken) => host.Client.WarmAsync(EngineEffects.Root(run),
        run.Prepared.Model?.Id ?? plan.ModelIds[0], plan.Engine.ReadyTimeout ?? EngineEffects.ReadyWithin(run.Prepared.Model?.Bytes ?? 0), cancellationToken);

    public bool IsPortTaken(int port) => PortRange.IsTaken(port);

    public Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline) => Traffic.QuietAsync(replica, url, deadline);

    public void Cut(ReplicaId replica, string url) => Traffic.Cut(replica, url);

    public async Task<TimeSpan?> IdleForAsync(ReplicaId replica, string url, CancellationToken cancellationToken) =>
        Traffic.IdleFor(replica, url) ?? await _idle.ReadAsync(url, cancellationToken).ConfigureAwait(false);

    // A kind that knows only the CPU has none of the GPU's memory to give back, whatever its mask says.
    public Task<long?> FreeDeviceBytesAsync(PoolPlan plan, CancellationToken cancellationToken) =>
        devices is null || host.Machine.Selected(plan).Devices.IsEmpty ? Task.FromResult<long?>(null) : devices.FreeAsync(plan, cancellationToken);

    public void Measure(EngineOrder order, EngineRun run, long? deviceBytes)
    {
        var onGpu = !host.Machine.Selected(order.Plan).Devices.IsEmpty && order.Plan.GpuLayers != 0;
        var bytes = onGpu ? deviceBytes : host.Supervisor.Usage(EngineEffects.NameOf(order.Plan.Id, order.Replica, order.Second))?.ResidentBytes;
        if (run.Prepared.Model is { } model && bytes is { } seen)
        {
            _measured.Remember(MeasuredMemory.KeyOf(order.Plan, run.Prepared, model, onGpu), seen);
        }
    }

    public ImmutableArray<PurgeTarget> PurgeTargets(PoolState pool, PoolCommand.Purge command) => files.Targets(pool, command);

    public Task DeleteAsync(PurgeTarget target, CancellationToken cancellationToken) => files.DeleteAsync(target, cancellationToken);
}
