using System.Collections.Immutable;
using Loom.Node.Provisioning;
using Loom.Node.Threads;

namespace Loom.Node.Engines;

/// <summary>Finds out what shapes command lines on this machine.</summary>
public static class LaunchMachineProbe
{
    /// <summary>Reads <c>/sys</c>, <c>/dev</c> and PATH.</summary>
    public static LaunchMachine OfThisMachine(ImmutableDictionary<string, string> environment) =>
        new(NumaNodes(), ToolPath.Find("numactl", environment), Directory.EnumerateFiles("/dev", "nvidia*").Any(IsGpu));

    private static int NumaNodes()
    {
        const string Online = "/sys/devices/system/node/online";
        return File.Exists(Online) ? Math.Max(1, CpuFacts.CpuList(File.ReadAllText(Online)).Length) : 1;
    }

    // nvidia0, nvidia1 ...; not nvidiactl, which a driver without a device leaves too.
    private static bool IsGpu(string device) => Path.GetFileName(device)["nvidia".Length..] is { Length: > 0 } number && number.All(char.IsAsciiDigit);
}
