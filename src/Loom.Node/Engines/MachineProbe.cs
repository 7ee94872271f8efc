using System.Collections.Immutable;
using System.Globalization;
using Loom.Node.Provisioning;

namespace Loom.Node.Engines;

/// <summary>Facts of this machine that shape how engines are launched, read from the kernel's files.</summary>
public static class MachineProbe
{
    /// <summary>Memory nodes, numactl, and whether an NVIDIA device is there.</summary>
    public static LaunchMachine Launch(ImmutableDictionary<string, string> environment)
    {
        const string Nodes = "/sys/devices/system/node";
        var nodes = Directory.Exists(Nodes) ? Directory.GetDirectories(Nodes, "node*").Count(d => char.IsAsciiDigit(d[^1])) : 1;
        return new LaunchMachine(Math.Max(1, nodes), ToolPath.Find("numactl", environment), File.Exists("/dev/nvidiactl"));
    }

    /// <summary>Memory that may be taken now without swapping, bytes; what other programs hold is not counted as free.</summary>
    public static long FreeMemory()
    {
        var line = File.ReadLines("/proc/meminfo").First(l => l.StartsWith("MemAvailable:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }
}
