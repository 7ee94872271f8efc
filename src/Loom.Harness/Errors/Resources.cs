using Loom.Core.Gpus;

namespace Loom.Harness.Errors;

/// <summary>Looks at this process and its machine.</summary>
internal interface IResourceProbe
{
    /// <summary>Looks now; quick, and never throws.</summary>
    ResourceSample Sample();
}

/// <summary>The last look at the resources, renewed when it is asked for and a second old: a storm of errors costs one look a second.</summary>
internal sealed class ResourceSampler(IResourceProbe probe, TimeProvider time)
{
    private static readonly TimeSpan s_age = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private ResourceSample? _last;
    private long _at;

    /// <summary>Looks made so far.</summary>
    public long Samples { get; private set; }

    public ResourceSample Current()
    {
        lock (_gate)
        {
            if (_last is null || time.GetElapsedTime(_at) >= s_age)
            {
                _at = time.GetTimestamp();
                _last = probe.Sample();
                Samples++;
            }

            return _last;
        }
    }
}

/// <summary>This process, by the runtime and <c>/proc</c>; GPUs by whoever watches them.</summary>
/// <param name="folder">Where free disk space matters.</param>
/// <param name="gpus">The GPUs as they are known.</param>
/// <param name="time">Clock.</param>
internal sealed class ProcessResources(string folder, IGpuView gpus, TimeProvider time) : IResourceProbe
{
    private const double Mb = 1024 * 1024;

    private TimeSpan _cpu = Environment.CpuUsage.TotalTime;
    private long _cpuAt = time.GetTimestamp();

    public ResourceSample Sample() => new()
    {
        CpuPercent = CpuPercent(),
        RssMb = Math.Round(Environment.WorkingSet / Mb, 1),
        HeapMb = Math.Round(GC.GetTotalMemory(forceFullCollection: false) / Mb, 1),
        GcPauseMs = Math.Round(GC.GetTotalPauseDuration().TotalMilliseconds, 1),
        Gen2Count = GC.CollectionCount(2),
        Threadpool = new ThreadPoolSample(ThreadPool.ThreadCount, ThreadPool.PendingWorkItemCount),
        OpenFds = OrNull(static _ => Directory.EnumerateFileSystemEntries("/proc/self/fd").Count(), ""),
        DiskFreeMb = OrNull(static path => Math.Round(new DriveInfo(path).AvailableFreeSpace / Mb), folder),
        DiskFreeRatio = OrNull(static path => new DriveInfo(path) is { TotalSize: > 0 } disk ? (double)disk.AvailableFreeSpace / disk.TotalSize : 1, folder),
        Gpu = [.. gpus.Current.Devices.Select(g => new GpuSample(g.DeviceId, g.Utilization, (g.VramTotalBytes - g.VramFreeBytes) / Mb))],
        SampledAt = time.GetUtcNow(),
    };

    private double? CpuPercent()
    {
        var (cpu, elapsed) = (Environment.CpuUsage.TotalTime, time.GetElapsedTime(_cpuAt));
        var percent = elapsed > TimeSpan.Zero ? Math.Round(100 * (cpu - _cpu) / elapsed, 1) : (double?)null;
        (_cpu, _cpuAt) = (cpu, time.GetTimestamp());
        return percent;
    }

    // A monitor that fails stops nothing.
    private static T? OrNull<T>(Func<string, T> read, string path)
        where T : struct
    {
        try
        {
            return read(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }
}
