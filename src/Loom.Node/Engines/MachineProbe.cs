using System.Collections.Immutable;
using Loom.Core.Gpus;
using Loom.Node.Provisioning;
using Loom.Node.Threads;

namespace Loom.Node.Engines;

/// <summary>Facts of this machine that shape how engines are launched, read from the kernel's files.</summary>
public static class MachineProbe
{
    /// <summary>Memory nodes, numactl, and the GPUs as they are at each launch.</summary>
    public static LaunchMachine Launch(ImmutableDictionary<string, string> environment, IGpuView gpus) =>
        new(NumaNodes(), ToolPath.Find("numactl", environment), gpus);

    /// <summary>Number of NVIDIA device files: a card that comes or goes changes it.</summary>
    public static int NvidiaDevices() => Directory.EnumerateFiles("/dev", "nvidia*").Count(IsGpu);

    /// <summary>Memory that may be taken now without swapping, bytes; inside a cgroup limit what that leaves.</summary>
    public static long FreeMemory() => Provisioning.FreeMemory.OfThisMachine();

    private static int NumaNodes()
    {
        const string Online = "/sys/devices/system/node/online";
        return File.Exists(Online) ? Math.Max(1, CpuFacts.CpuList(File.ReadAllText(Online)).Length) : 1;
    }

    // nvidia0, nvidia1 ...; not nvidiactl, which a driver without a device leaves too.
    private static bool IsGpu(string device) => Path.GetFileName(device)["nvidia".Length..] is { Length: > 0 } number && number.All(char.IsAsciiDigit);
}
