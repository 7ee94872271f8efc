using System.Collections.Immutable;
using System.Globalization;

namespace Loom.Node.Threads;

/// <summary>What this process may use of the machine's cores, as probed.</summary>
/// <param name="PhysicalCores">Distinct physical cores inside the CPU affinity of this process; logical CPUs where the topology is unknown.</param>
/// <param name="QuotaCores">CPU time the cgroups allow, in cores; null = no limit.</param>
public sealed record CpuFacts(int PhysicalCores, double? QuotaCores)
{
    /// <summary>Cores that engines may keep busy: physical cores inside affinity and quota, at least 1.</summary>
    public int Usable => Math.Max(1, QuotaCores is { } quota ? Math.Min(PhysicalCores, (int)Math.Floor(quota + 0.01)) : PhysicalCores);

    /// <summary>Reads the facts of this process from <c>/proc</c> and <c>/sys</c>.</summary>
    public static CpuFacts OfThisMachine() => Probe(ReadOrNull);

    /// <summary>Works the facts out of the files <paramref name="read"/> gives; pure over it.</summary>
    /// <param name="read">Content of a file by path; null when there is none.</param>
    public static CpuFacts Probe(Func<string, string?> read)
    {
        var allowed = AllowedCpus(read("/proc/self/status"));
        if (allowed.IsEmpty)
        {
            allowed = CpuList(read("/sys/devices/system/cpu/online"));
        }

        var cores = allowed.Select(cpu => (Cpu: cpu, Package: Topology(read, cpu, "physical_package_id"), Core: Topology(read, cpu, "core_id")))
            .Select(c => c.Core is null ? $"cpu{c.Cpu}" : $"{c.Package}:{c.Core}")
            .Distinct(StringComparer.Ordinal)
            .Count();
        return new CpuFacts(Math.Max(1, cores), Quota(read));
    }

    /// <summary>CPUs in a kernel list such as <c>0-3,8,10-11</c>; empty when it is none.</summary>
    public static ImmutableArray<int> CpuList(string? text)
    {
        var cpus = ImmutableArray.CreateBuilder<int>();
        foreach (var part in (text ?? "").Trim().Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var ends = part.Split('-');
            if (!int.TryParse(ends[0], NumberStyles.None, CultureInfo.InvariantCulture, out var first)
                || !int.TryParse(ends[^1], NumberStyles.None, CultureInfo.InvariantCulture, out var last) || last - first is < 0 or > 65536)
            {
                return [];
            }

            cpus.AddRange(Enumerable.Range(first, last - first + 1));
        }

        return cpus.ToImmutable();
    }

    private static ImmutableArray<int> AllowedCpus(string? status) =>
        CpuList((status ?? "").Split('\n').FirstOrDefault(l => l.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal))?["Cpus_allowed_list:".Length..]);

    private static string? Topology(Func<string, string?> read, int cpu, string name) => read($"/sys/devices/system/cpu/cpu{cpu}/topology/{name}")?.Trim();

    private static double? Quota(Func<string, string?> read)
    {
        double? lowest = null;
        foreach (var line in (read("/proc/self/cgroup") ?? "").Split('\n'))
        {
            var parts = line.Split(':', 3);
            if (parts.Length != 3)
            {
                continue;
            }

            // Each level of the hierarchy limits; in a container the path may not exist below the mount, then its root is what counts.
            foreach (var folder in Upwards(parts[2].Trim()))
            {
                var quota = parts[1].Length == 0
                    ? QuotaV2(read($"/sys/fs/cgroup{folder}/cpu.max"))
                    : parts[1].Split(',').Contains("cpu", StringComparer.Ordinal)
                    ? QuotaV1(read, $"/sys/fs/cgroup/{parts[1]}{folder}") ?? QuotaV1(read, $"/sys/fs/cgroup/cpu{folder}") : null;
                lowest = quota is { } found && (lowest is null || found < lowest) ? found : lowest;
            }
        }

        return lowest;
    }

    private static IEnumerable<string> Upwards(string path)
    {
        for (var at = path.TrimEnd('/'); at.Length > 0; at = at[..at.LastIndexOf('/')])
        {
            yield return at;
        }

        yield return "";
    }

    private static double? QuotaV2(string? text)
    {
        var parts = (text ?? "").Split(' ', StringSplitOptions.TrimEntries);
        return parts.Length == 2 ? Share(parts[0], parts[1]) : null;
    }

    private static double? QuotaV1(Func<string, string?> read, string folder) => Share(read($"{folder}/cpu.cfs_quota_us"), read($"{folder}/cpu.cfs_period_us"));

    private static double? Share(string? quota, string? period) =>
        long.TryParse(quota?.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var q)
        && long.TryParse(period?.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var p) && p > 0
            ? (double)q / p
            : null;

    private static string? ReadOrNull(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (IOException)
        {
            return null;
        }
        catch (UnauthorizedAccessException)
        {
            return null;
        }
    }
}
