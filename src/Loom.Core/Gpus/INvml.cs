namespace Loom.Core.Gpus;

/// <summary>
/// The calls of NVIDIA's management library that are used, with its own result codes: 0 = done. What an older library lacks answers
/// <see cref="NvmlCode.FunctionNotFound"/>.
/// </summary>
public interface INvml
{
    int Init();

    int Shutdown();

    int DeviceCount(out int count);

    int DeviceByIndex(int index, out nint device);

    int PciBusId(nint device, out string busId);

    int Uuid(nint device, out string uuid);

    int Name(nint device, out string name);

    int Memory(nint device, out long totalBytes, out long freeBytes);

    /// <param name="device">The device.</param>
    /// <param name="percent">Share of the last sample period in which it was busy.</param>
    int Utilization(nint device, out int percent);

    int Temperature(nint device, out int celsius);

    int ComputeCapability(nint device, out int major, out int minor);

    /// <summary>Process ids with a compute or graphics context on the device, each once, as the namespace of the driver numbers them.</summary>
    int Processes(nint device, out int[] pids);

    /// <summary>A code in the library's own words.</summary>
    string ErrorText(int code);
}

/// <summary>Result codes that are told apart.</summary>
public static class NvmlCode
{
    public const int Success = 0;
    public const int InsufficientSize = 7;
    public const int DriverNotLoaded = 9;
    public const int FunctionNotFound = 13;
    public const int GpuIsLost = 15;
}
