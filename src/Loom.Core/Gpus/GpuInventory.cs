using System.Collections.Immutable;
using Loom.Core.Loops;
using Microsoft.Extensions.Logging;

namespace Loom.Core.Gpus;

/// <summary>
/// The GPUs of this machine, looked at again and again. Lifecycle: construct, <see cref="ScanAsync"/> once before anything relies on it, <see cref="Start"/>
/// once, dispose. The snapshot is immutable and swapped whole.
/// </summary>
public sealed partial class GpuInventory : IGpuView, IAsyncDisposable
{
    private readonly ImmutableArray<IGpuSource> _sources;
    private readonly TimeSpan _interval;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _scanning = new(1, 1);
    private ImmutableArray<Action<GpuSnapshot>> _listeners = [];
    private volatile GpuTracking _tracking = new();
    private BackgroundLoop? _loop;

    /// <summary>Makes it; nothing is looked at yet.</summary>
    /// <param name="sources">Best first; the first that can be used is believed.</param>
    /// <param name="interval">Pause between scans.</param>
    /// <param name="time">Clock.</param>
    /// <param name="logger">Told of devices that appear and vanish.</param>
    public GpuInventory(ImmutableArray<IGpuSource> sources, TimeSpan interval, TimeProvider time, ILogger logger)
    {
        _sources = sources;
        _interval = interval;
        _time = time;
        _logger = logger;
    }

    /// <summary>What was found last.</summary>
    public GpuSnapshot Current => _tracking.Snapshot;

    /// <summary>The error that ended the loop, or null; health reports it.</summary>
    public Exception? Fault => _loop?.Fault;

    /// <summary>Begins to scan, the first time after one interval.</summary>
    public void Start() => _loop = BackgroundLoop.Start("gpu discovery", RunAsync, _logger);

    /// <summary>Looks now, and tells everybody.</summary>
    public async Task<GpuSnapshot> ScanAsync(CancellationToken cancellationToken)
    {
        await _scanning.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var readings = new List<(string, GpuReading)>();
            foreach (var source in _sources)
            {
                var reading = await source.ReadAsync(cancellationToken).ConfigureAwait(false);
                readings.Add((source.Name, reading));
                if (reading.Devices is not null)
                {
                    break;
                }
            }

            var (next, changes) = _tracking.Step(readings);
            _tracking = next;
            Tell(next.Snapshot, changes);
            foreach (var listener in _listeners)
            {
                listener(next.Snapshot);
            }

            return next.Snapshot;
        }
        finally
        {
            _scanning.Release();
        }
    }

    /// <summary>Calls <paramref name="listener"/> after each scan, never twice at once. Be short. Dispose to end.</summary>
    public IDisposable Subscribe(Action<GpuSnapshot> listener)
    {
        ImmutableInterlocked.Update(ref _listeners, static (all, one) => all.Add(one), listener);
        return new Subscription(this, listener);
    }

    public async ValueTask DisposeAsync()
    {
        if (_loop is not null)
        {
            await _loop.DisposeAsync().ConfigureAwait(false);
        }

        _scanning.Dispose();
    }

    private async Task RunAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(_interval, _time);
        while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
        {
            await ScanAsync(stop).ConfigureAwait(false);
        }
    }

    private void Tell(GpuSnapshot snapshot, GpuChanges changes)
    {
        foreach (var device in changes.Appeared)
        {
            LogAppeared(_logger, device.DeviceId, device.Uuid, device.Name ?? "unnamed", snapshot.Source);
        }

        foreach (var device in changes.Vanished)
        {
            LogVanished(_logger, device.DeviceId, device.Uuid, device.Name ?? "unnamed", snapshot.Trouble ?? "the driver does not list it any more");
        }
    }

    [LoggerMessage(EventId = 340, Level = LogLevel.Information, Message = "GPU {Index} appeared: {Uuid} ({Name}), told by {Source}")]
    private static partial void LogAppeared(ILogger logger, int index, string uuid, string name, string source);

    [LoggerMessage(EventId = 341, Level = LogLevel.Warning, Message = "GPU {Index} vanished: {Uuid} ({Name}): {Why}")]
    private static partial void LogVanished(ILogger logger, int index, string uuid, string name, string why);

    private sealed class Subscription(GpuInventory owner, Action<GpuSnapshot> listener) : IDisposable
    {
        public void Dispose() => ImmutableInterlocked.Update(ref owner._listeners, static (all, one) => all.Remove(one), listener);
    }
}
