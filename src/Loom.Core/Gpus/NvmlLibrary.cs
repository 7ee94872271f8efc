using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Loom.Core.Gpus;

/// <summary>
/// NVIDIA's management library, found at run time: no part of Loom depends on it, and a machine without it is an ordinary machine. It stays loaded for the
/// life of the process, as its vendor advises.
/// </summary>
public sealed unsafe class NvmlLibrary : INvml
{
    /// <summary>Name under which the driver installs it.</summary>
    public const string FileName = "libnvidia-ml.so.1";

    private const int TextLength = 96;

    private readonly delegate* unmanaged<int> _init;
    private readonly delegate* unmanaged<int> _shutdown;
    private readonly delegate* unmanaged<uint*, int> _count;
    private readonly delegate* unmanaged<uint, nint*, int> _byIndex;
    private readonly delegate* unmanaged<nint, PciInfo*, int> _pci;
    private readonly delegate* unmanaged<nint, byte*, uint, int> _uuid;
    private readonly delegate* unmanaged<nint, byte*, uint, int> _name;
    private readonly delegate* unmanaged<nint, MemoryInfo*, int> _memory;
    private readonly delegate* unmanaged<nint, Rates*, int> _rates;
    private readonly delegate* unmanaged<nint, int, uint*, int> _temperature;
    private readonly delegate* unmanaged<nint, int*, int*, int> _capability;
    private readonly delegate* unmanaged<nint, uint*, ProcessInfo*, int> _compute;
    private readonly delegate* unmanaged<nint, uint*, ProcessInfo*, int> _graphics;
    private readonly delegate* unmanaged<int, byte*> _errorText;

    private NvmlLibrary(nint library)
    {
        _init = (delegate* unmanaged<int>)Find(library, "nvmlInit_v2");
        _shutdown = (delegate* unmanaged<int>)Find(library, "nvmlShutdown");
        _count = (delegate* unmanaged<uint*, int>)Find(library, "nvmlDeviceGetCount_v2");
        _byIndex = (delegate* unmanaged<uint, nint*, int>)Find(library, "nvmlDeviceGetHandleByIndex_v2");
        _pci = (delegate* unmanaged<nint, PciInfo*, int>)Find(library, "nvmlDeviceGetPciInfo_v3");
        _uuid = (delegate* unmanaged<nint, byte*, uint, int>)Find(library, "nvmlDeviceGetUUID");
        _name = (delegate* unmanaged<nint, byte*, uint, int>)Find(library, "nvmlDeviceGetName");
        _memory = (delegate* unmanaged<nint, MemoryInfo*, int>)Find(library, "nvmlDeviceGetMemoryInfo");
        _rates = (delegate* unmanaged<nint, Rates*, int>)Find(library, "nvmlDeviceGetUtilizationRates");
        _temperature = (delegate* unmanaged<nint, int, uint*, int>)Find(library, "nvmlDeviceGetTemperature");
        _capability = (delegate* unmanaged<nint, int*, int*, int>)Find(library, "nvmlDeviceGetCudaComputeCapability");
        // Version 2 has the record of version 3; what came before has another, and is not asked.
        _compute = (delegate* unmanaged<nint, uint*, ProcessInfo*, int>)Find(library, "nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2");
        _graphics = (delegate* unmanaged<nint, uint*, ProcessInfo*, int>)Find(library, "nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2");
        _errorText = (delegate* unmanaged<int, byte*>)Find(library, "nvmlErrorString");
    }

    /// <summary>Loads it.</summary>
    /// <param name="name">File name or path.</param>
    /// <param name="library">The library.</param>
    /// <param name="trouble">Why there is none.</param>
    /// <returns>False when it is not installed, or is something else under that name.</returns>
    public static bool TryLoad(string name, [NotNullWhen(true)] out NvmlLibrary? library, out string trouble)
    {
        library = null;
        if (!NativeLibrary.TryLoad(name, out var handle))
        {
            trouble = $"{name} is not installed";
            return false;
        }

        var found = new NvmlLibrary(handle);
        if (found._init is null || found._count is null || found._byIndex is null || found._uuid is null)
        {
            NativeLibrary.Free(handle);
            trouble = $"{name} lacks calls that every driver since 2013 has";
            return false;
        }

        (library, trouble) = (found, "");
        return true;
    }

    public int Init() => _init();

    public int Shutdown() => _shutdown is null ? NvmlCode.FunctionNotFound : _shutdown();

    public int DeviceCount(out int count)
    {
        uint found = 0;
        var code = _count(&found);
        count = (int)found;
        return code;
    }

    public int DeviceByIndex(int index, out nint device)
    {
        nint found = 0;
        var code = _byIndex((uint)index, &found);
        device = found;
        return code;
    }

    public int PciBusId(nint device, out string busId)
    {
        PciInfo info = default;
        var code = _pci is null ? NvmlCode.FunctionNotFound : _pci(device, &info);
        busId = Text(info.BusId, PciInfo.BusIdLength);
        return code;
    }

    public int Uuid(nint device, out string uuid) => Ask(_uuid, device, out uuid);

    public int Name(nint device, out string name) => Ask(_name, device, out name);

    public int Memory(nint device, out long totalBytes, out long freeBytes)
    {
        MemoryInfo info = default;
        var code = _memory is null ? NvmlCode.FunctionNotFound : _memory(device, &info);
        (totalBytes, freeBytes) = ((long)info.Total, (long)info.Free);
        return code;
    }

    public int Utilization(nint device, out int percent)
    {
        Rates rates = default;
        var code = _rates is null ? NvmlCode.FunctionNotFound : _rates(device, &rates);
        percent = (int)rates.Gpu;
        return code;
    }

    public int Temperature(nint device, out int celsius)
    {
        const int GpuSensor = 0;
        uint found = 0;
        var code = _temperature is null ? NvmlCode.FunctionNotFound : _temperature(device, GpuSensor, &found);
        celsius = (int)found;
        return code;
    }

    public int ComputeCapability(nint device, out int major, out int minor)
    {
        int a = 0, b = 0;
        var code = _capability is null ? NvmlCode.FunctionNotFound : _capability(device, &a, &b);
        (major, minor) = (a, b);
        return code;
    }

    public int Processes(nint device, out int[] pids)
    {
        var found = new HashSet<int>();
        pids = [];
        foreach (var ask in new[] { (nint)_compute, (nint)_graphics })
        {
            if (Collect((delegate* unmanaged<nint, uint*, ProcessInfo*, int>)ask, device, found) is var code and not NvmlCode.Success)
            {
                return code;
            }
        }

        pids = [.. found];
        return NvmlCode.Success;
    }

    public string ErrorText(int code)
    {
        var text = _errorText is null ? null : Marshal.PtrToStringUTF8((nint)_errorText(code));
        return string.IsNullOrEmpty(text) ? $"error {code}" : text;
    }

    // Processes come while they are counted; a few more places than were asked for catch most of them.
    private static int Collect(delegate* unmanaged<nint, uint*, ProcessInfo*, int> ask, nint device, HashSet<int> pids)
    {
        if (ask is null)
        {
            return NvmlCode.FunctionNotFound;
        }

        uint count = 32;
        for (var attempt = 0; attempt < 4; attempt++)
        {
            var room = new ProcessInfo[count];
            int code;
            fixed (ProcessInfo* first = room)
            {
                code = ask(device, &count, first);
            }

            if (code == NvmlCode.Success)
            {
                pids.UnionWith(room.Take((int)count).Select(p => (int)p.Pid));
            }

            if (code != NvmlCode.InsufficientSize)
            {
                return code;
            }

            count += 8;
        }

        return NvmlCode.InsufficientSize;
    }

    private static int Ask(delegate* unmanaged<nint, byte*, uint, int> ask, nint device, out string text)
    {
        var buffer = stackalloc byte[TextLength];
        buffer[0] = 0;
        var code = ask is null ? NvmlCode.FunctionNotFound : ask(device, buffer, TextLength);
        text = Text(buffer, TextLength);
        return code;
    }

    private static string Text(byte* text, int room)
    {
        var bytes = new ReadOnlySpan<byte>(text, room);
        var end = bytes.IndexOf((byte)0);
        return System.Text.Encoding.UTF8.GetString(end < 0 ? bytes : bytes[..end]);
    }

    private static nint Find(nint library, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (NativeLibrary.TryGetExport(library, name, out var address))
            {
                return address;
            }
        }

        return 0;
    }

    // Layouts of nvml.h. A buffer of 96 bytes holds every name and UUID the library gives.
    private struct MemoryInfo
    {
        public ulong Total;
        public ulong Free;
        public ulong Used;
    }

    private struct Rates
    {
        public uint Gpu;
        public uint Memory;
    }

    private struct ProcessInfo
    {
        public uint Pid;
        public ulong UsedMemory;
        public uint GpuInstance;
        public uint ComputeInstance;
    }

    private struct PciInfo
    {
        public const int BusIdLength = 32;
        public fixed byte LegacyBusId[16];
        public uint Domain;
        public uint Bus;
        public uint Device;
        public uint DeviceId;
        public uint SubsystemId;
        public fixed byte BusId[BusIdLength];
    }
}
