using System.Collections.Immutable;
using System.Globalization;
using Loom.Wire;

namespace Loom.Core.Gpus;

/// <summary>
/// GPUs through NVIDIA's management library. The library counts devices when it is initialised and not again, so it is initialised anew when the number of
/// device files has changed, or a device was lost.
/// </summary>
/// <param name="load">Loads the library: null and the reason where there is none. Tried again at each scan until it is there.</param>
/// <param name="deviceFiles">Number of NVIDIA device files on this machine now.</param>
/// <param name="ours">Whether a process is one of this Loom's own.</param>
/// <param name="time">Clock of the patience with a driver that hangs.</param>
public sealed class NvmlSource(Func<(INvml? Library, string Trouble)> load, Func<int> deviceFiles, Func<int, bool> ours, TimeProvider time) : IGpuSource
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private Task<GpuReading>? _reading;
    private INvml? _nvml;
    private bool _initialised;
    private int _files;

    public string Name => GpuSources.Nvml;

    public async Task<GpuReading> ReadAsync(CancellationToken cancellationToken)
    {
        // A card in trouble can hold a call for ever; it must hold one thread and not the node, and is not called again before it has answered.
        if (_reading is not { IsCompleted: false })
        {
            _reading = Task.Run(Read, CancellationToken.None);
        }

        try
        {
            return await _reading.WaitAsync(s_patience, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            return GpuReading.Unusable($"the driver gives no answer within {s_patience.TotalSeconds:0} s");
        }
    }

    private GpuReading Read()
    {
        if (_nvml is null)
        {
            (_nvml, var trouble) = load();
            if (_nvml is null)
            {
                return GpuReading.Unusable(trouble);
            }
        }

        var files = deviceFiles();
        if (_initialised && files != _files)
        {
            Close(_nvml);
        }

        if (!_initialised)
        {
            if (_nvml.Init() is var code and not NvmlCode.Success)
            {
                return GpuReading.Unusable($"the driver's library does not start: {_nvml.ErrorText(code)}");
            }

            (_initialised, _files) = (true, files);
        }

        return Devices(_nvml);
    }

    private GpuReading Devices(INvml nvml)
    {
        if (nvml.DeviceCount(out var count) is var counted and not NvmlCode.Success)
        {
            Close(nvml);
            return GpuReading.Unusable($"the driver does not count its devices: {nvml.ErrorText(counted)}");
        }

        var found = new List<(string BusId, GpuDevice Device)>(count);
        string? trouble = null;
        for (var i = 0; i < count; i++)
        {
            var code = nvml.DeviceByIndex(i, out var handle);
            var uuid = "";
            if (code == NvmlCode.Success)
            {
                code = nvml.Uuid(handle, out uuid);
            }

            if (code != NvmlCode.Success)
            {
                trouble = $"device {i} of the driver cannot be read: {nvml.ErrorText(code)}";
                continue;
            }

            found.Add((nvml.PciBusId(handle, out var busId) == NvmlCode.Success ? busId : i.ToString("x8", CultureInfo.InvariantCulture), Device(nvml, handle, uuid)));
        }

        if (trouble is not null)
        {
            Close(nvml); // a lost device comes back to a library that was started anew
        }

        return new GpuReading(PciOrder.Number(found), trouble);
    }

    private GpuDevice Device(INvml nvml, nint handle, string uuid) => new()
    {
        DeviceId = 0,
        Uuid = uuid,
        Name = nvml.Name(handle, out var name) == NvmlCode.Success && name.Length > 0 ? name : null,
        VramTotalBytes = nvml.Memory(handle, out var total, out var free) == NvmlCode.Success ? total : null,
        VramFreeBytes = total > 0 ? free : null,
        Utilization = nvml.Utilization(handle, out var percent) == NvmlCode.Success ? percent / 100.0 : null,
        TemperatureC = nvml.Temperature(handle, out var celsius) == NvmlCode.Success ? celsius : null,
        ComputeCapability = nvml.ComputeCapability(handle, out var major, out var minor) == NvmlCode.Success
            ? string.Create(CultureInfo.InvariantCulture, $"{major}.{minor}") : null,
        ForeignProcesses = nvml.Processes(handle, out var pids) == NvmlCode.Success ? pids.Count(p => !ours(p)) : null,
    };

    private void Close(INvml nvml)
    {
        nvml.Shutdown();
        _initialised = false;
    }
}

/// <summary>Numbers devices as CUDA does with <c>CUDA_DEVICE_ORDER=PCI_BUS_ID</c>.</summary>
internal static class PciOrder
{
    /// <summary>Sorted by bus id (<c>00000000:3B:00.0</c>), numbered from 0.</summary>
    public static ImmutableArray<GpuDevice> Number(IEnumerable<(string BusId, GpuDevice Device)> devices) =>
        [.. devices.OrderBy(d => d.BusId, StringComparer.OrdinalIgnoreCase).Select((d, i) => d.Device with { DeviceId = i })];
}
