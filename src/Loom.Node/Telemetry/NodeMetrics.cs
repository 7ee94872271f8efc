using System.Buffers;
using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Loom.Core.Gpus;
using Loom.Core.Loops;
using Loom.Core.Telemetry;
using Loom.Node.Engines;
using Loom.Node.Provisioning;
using Loom.Processes;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Telemetry;

/// <summary>What a node measures: its engines, its GPUs, what it provisions; and the engines' own metrics, labelled with node, pool and replica.</summary>
public sealed class NodeMetrics : IMetricsPage, IProgress<ProvisionProgress>, IAsyncDisposable
{
    private static readonly InstrumentAdvice<double> s_buckets = new() { HistogramBucketBoundaries = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600] };

    private static readonly EngineRestartPolicy s_policy = new();

    private readonly Meter _meter = new("Loom.Node");
    private readonly PrometheusExporter _exporter;
    private readonly EngineMetrics _engines;
    private readonly Histogram<double> _load;
    private readonly Counter<long> _bytes;
    private readonly Histogram<double> _step;
    private readonly Counter<long> _handoff;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<(string? Group, string Step), (long Began, long Bytes)> _steps = new();
    private BackgroundLoop? _watch;

    /// <param name="supervisor">Knows how often engines were restarted.</param>
    /// <param name="gpus">The machine's GPUs.</param>
    /// <param name="time">Clock.</param>
    public NodeMetrics(ISupervisor supervisor, IGpuView gpus, TimeProvider time)
    {
        _time = time;
        _exporter = new PrometheusExporter(meter => ReferenceEquals(meter, _meter));
        _engines = new EngineMetrics(time);
        _load = _meter.CreateHistogram("pool_mgr_engine_load_seconds", "s", "Time from the spawn of an engine until it answered its health check.", null, s_buckets);
        _bytes = _meter.CreateCounter<long>("engine_provisioner_bytes_total", description: "Bytes fetched.");
        _step = _meter.CreateHistogram("engine_provisioner_step_seconds", "s", "Duration of a step of provisioning.", null, s_buckets);
        _handoff = _meter.CreateCounter<long>("pool_mgr_handoff_files_total", description: "Handoff files that were judged.");
        _meter.CreateObservableGauge("pool_mgr_engine_up", () => Node?.Snapshot.Select(Up) ?? [], description: "Whether the replica's engine takes work.");
        _meter.CreateObservableCounter("pool_mgr_engine_restarts_total", () => Node?.Snapshot.Select(r => Restarts(r, supervisor)) ?? [], description: "Restarts of an engine by the supervisor.");
        _meter.CreateObservableGauge(
            "pool_mgr_engine_breaker_state", () => Node?.Snapshot.Select(r => Breaker(r, supervisor)) ?? [], description: "0 = closed, 1 = open: the engine crashed too often and rests.");
        _meter.CreateObservableGauge(
            "pool_mgr_gpu_utilization_ratio", () => gpus.Current.Devices.Where(d => d.Utilization is not null).Select(d => Of(d, d.Utilization!.Value)), description: "Share of time the GPU was busy.");
        _meter.CreateObservableGauge(
            "pool_mgr_gpu_vram_used_bytes",
            () => gpus.Current.Devices.Where(d => d.VramTotalBytes is not null && d.VramFreeBytes is not null).Select(d => Of(d, d.VramTotalBytes!.Value - d.VramFreeBytes!.Value)),
            description: "Memory of the GPU in use, whoever uses it.");
        _meter.CreateObservableGauge<double>("pool_mgr_kv_cache_usage_ratio", () => _engines.CacheUse.AsEnumerable(), description: "Share of the engine's context memory in use, where the engine tells.");
    }

    /// <summary>The node that is measured; null before it is known.</summary>
    private NodeAgent? Node { get; set; }

    /// <summary>Begins to measure a node.</summary>
    public void Observe(NodeAgent node, ILogger logger)
    {
        Node = node;
        _watch = BackgroundLoop.Start("node metrics", cancel => WatchAsync(node, cancel), logger);
    }

    /// <summary>A handoff file was judged.</summary>
    /// <param name="outcome"><c>registered</c>, <c>quarantined</c> or <c>retried</c>.</param>
    public void Handoff(string outcome) => _handoff.Add(1, new KeyValuePair<string, object?>("outcome", outcome));

    /// <inheritdoc/>
    public void Report(ProvisionProgress value)
    {
        var key = (value.Group, value.Step);
        var label = new KeyValuePair<string, object?>("step", value.Kind);
        if (value.Status == StepStatus.Running)
        {
            // All replicas of a pool share their steps: any of them may end one meanwhile.
            var (began, before) = _steps.GetOrAdd(key, _ => (_time.GetTimestamp(), 0));
            if (value.BytesDone > before && value.Kind is "engine_provision" or "model_fetch")
            {
                _bytes.Add(value.BytesDone - before, label);
            }

            _steps.AddOrUpdate(key, _ => (began, value.BytesDone), (_, step) => (step.Began, Math.Max(step.Bytes, value.BytesDone)));
        }
        else if (value.Status is StepStatus.Completed or StepStatus.Failed && _steps.TryRemove(key, out var step))
        {
            _step.Record(_time.GetElapsedTime(step.Began).TotalSeconds, label, new("outcome", value.Status == StepStatus.Completed ? "completed" : "failed"));
        }
    }

    /// <inheritdoc/>
    public async Task WriteAsync(IBufferWriter<byte> output, CancellationToken cancellationToken)
    {
        // Engines first: what they tell of their context memory stands in a family of ours.
        var engines = new ArrayBufferWriter<byte>(16 * 1024);
        await _engines.WriteAsync(Node?.Snapshot ?? [], engines, cancellationToken).ConfigureAwait(false);
        _exporter.Write(output);
        output.Write(engines.WrittenSpan);
    }

    /// <summary>Ends the measuring.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_watch is not null)
        {
            await _watch.DisposeAsync().ConfigureAwait(false);
        }

        _engines.Dispose();
        _exporter.Dispose();
        _meter.Dispose();
    }

    private async Task WatchAsync(NodeAgent node, CancellationToken cancellationToken)
    {
        var seen = new Dictionary<ReplicaId, int>();
        await foreach (var snapshot in node.WatchAsync(cancellationToken).ConfigureAwait(false))
        {
            foreach (var replica in snapshot)
            {
                if (replica is { State: ReplicaState.Ready, LoadMs: { } load } && seen.GetValueOrDefault(replica.Id) != load)
                {
                    seen[replica.Id] = load;
                    _load.Record(load / 1000.0, new KeyValuePair<string, object?>("pool", replica.Id.PoolId));
                }
            }
        }
    }

    private static Measurement<int> Up(ReplicaStatus replica) =>
        new(replica is { Url: not null, State: ReplicaState.Ready or ReplicaState.Draining or ReplicaState.Reloading } ? 1 : 0, Labels(replica));

    private static Measurement<int> Restarts(ReplicaStatus replica, ISupervisor supervisor) => new(Processes(replica, supervisor).Sum(p => p.Restarts), Labels(replica));

    private static Measurement<int> Breaker(ReplicaStatus replica, ISupervisor supervisor) => new(
        Processes(replica, supervisor).Any(p => p.State == ProcessState.Backoff && p.NextStart is { } next && s_policy.IsOpen(next - p.Since)) ? 1 : 0,
        Labels(replica));

    // A reload runs a second engine of the replica beside the first.
    private static IEnumerable<ProcessSnapshot> Processes(ReplicaStatus replica, ISupervisor supervisor)
    {
        var name = $"engine-{replica.Id.PoolId}-{replica.Id.ReplicaName}";
        return supervisor.Processes.Where(p => p.Name == name || p.Name == name + "-b");
    }

    private static KeyValuePair<string, object?>[] Labels(ReplicaStatus replica) => [new("pool", replica.Id.PoolId), new("replica", replica.Id.ReplicaName)];

    private static Measurement<double> Of(GpuDevice device, double value) => new(value, new KeyValuePair<string, object?>("device", device.Uuid));
}
