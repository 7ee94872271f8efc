using System.Globalization;
using System.Runtime.InteropServices;
using Loom.Node.Engines;
using Loom.Node.Threads;

namespace Loom.Cli.Doctor;

/// <summary>What the machine itself offers.</summary>
internal static class MachineChecks
{
    private static readonly Version s_oldestKernel = new(5, 6);

    public static IEnumerable<Check> Run()
    {
        yield return Kernel(Environment.OSVersion.Version);
        yield return new Check("machine", "runtime", CheckStatus.Pass, $"{RuntimeInformation.FrameworkDescription} on {RuntimeInformation.RuntimeIdentifier}");
        var cpu = CpuFacts.OfThisMachine();
        yield return new Check("machine", "cores", CheckStatus.Pass, $"{cpu.Usable} usable ({cpu.PhysicalCores} physical{(cpu.QuotaCores is { } quota ? string.Create(CultureInfo.InvariantCulture, $", quota {quota:0.##}") : "")})");
        yield return Memory();
    }

    internal static Check Kernel(Version found) => found >= s_oldestKernel
        ? new Check("machine", "kernel", CheckStatus.Pass, $"Linux {found}")
        : new Check("machine", "kernel", CheckStatus.Fail, $"Linux {found}; 5.6 is the oldest with what the supervisor needs (pidfd)", "a newer kernel");

    private static Check Memory()
    {
        const double GiB = 1L << 30;
        var free = MachineProbe.FreeMemory();
        var text = string.Create(CultureInfo.InvariantCulture, $"{free / GiB:0.0} GiB available");
        return free > GiB
            ? new Check("machine", "memory", CheckStatus.Pass, text)
            : new Check("machine", "memory", CheckStatus.Warning, text, "models need free memory: end other programs");
    }
}
