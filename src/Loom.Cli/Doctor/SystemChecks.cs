using System.Globalization;
using Loom.Agents.Project;
using Loom.Processes.Guarding;
using Loom.Processes.Native;

namespace Loom.Cli.Doctor;

/// <summary>What the supervisor needs of kernel, C library and this user's session.</summary>
internal static class SystemChecks
{
    // Below these a reload in a middling tree of sources fails with words that name neither the file nor the limit.
    private const long FewWatches = 8192;
    private const long FewInstances = 32;

    private static readonly Version s_oldestGlibc = new(2, 29);

    public static IEnumerable<Check> Run()
    {
        yield return Feature("pidfd", KernelFeatures.Pidfd(), "a child's end is seen at once and its number never mistaken", CheckStatus.Fail);
        yield return Feature("openat2", KernelFeatures.OpenBeneath(), "paths are kept below a folder by the kernel", CheckStatus.Warning);
        yield return Glibc(KernelFeatures.Glibc());
        yield return Limit("inotify watches", "max_user_watches", FewWatches, "524288");
        yield return Limit("inotify instances", "max_user_instances", FewInstances, "512");
        yield return Cgroup(Read("/proc/self/cgroup"), static path => Read(Path.Combine(path, "cgroup.controllers")), CanWrite);
        yield return Orphaned();
    }

    internal static Check Glibc(Version? found) => found switch
    {
        null => new Check("machine", "C library", CheckStatus.Fail, "not glibc; Loom starts its children with what glibc 2.29 brought", "a distribution with glibc"),
        _ when found < s_oldestGlibc => new Check("machine", "C library", CheckStatus.Fail, $"glibc {found}; 2.29 is the oldest with what the spawner needs", "a newer distribution"),
        _ => new Check("machine", "C library", CheckStatus.Pass, $"glibc {found}"),
    };

    /// <summary>Whether agents can be given limits of memory, processes and cores: a cgroup of version 2 that this user may divide.</summary>
    /// <param name="membership">Text of <c>/proc/self/cgroup</c>.</param>
    /// <param name="controllers">Reads the controllers of a cgroup folder.</param>
    /// <param name="writable">Whether a folder takes new groups from this user.</param>
    internal static Check Cgroup(string? membership, Func<string, string?> controllers, Func<string, bool> writable)
    {
        const string Without = "limits of memory are sampled, those of processes and cores are not enforced";
        const string Fix = "run it as a service (loom systemd install), or under systemd-run --user --scope -p Delegate=yes";
        var own = membership?.Split('\n').FirstOrDefault(l => l.StartsWith("0::", StringComparison.Ordinal))?[3..];
        if (own is null || controllers("/sys/fs/cgroup") is null)
        {
            return new Check("machine", "cgroup", CheckStatus.Warning, $"no cgroup of version 2; {Without}", "boot with systemd.unified_cgroup_hierarchy=1");
        }

        var folder = "/sys/fs/cgroup" + own.TrimEnd('/');
        var offered = controllers(folder)?.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [];
        string[] missing = [.. new[] { "memory", "pids", "cpu" }.Except(offered, StringComparer.Ordinal)];
        return !writable(folder) ? new Check("machine", "cgroup", CheckStatus.Warning, $"{folder} cannot be divided by this user; {Without}", Fix)
            : missing.Length > 0 ? new Check("machine", "cgroup", CheckStatus.Warning, $"{folder} lacks the controllers {string.Join(", ", missing)}; {Without}", Fix)
            : new Check("machine", "cgroup", CheckStatus.Pass, $"{folder} may be divided (memory, pids, cpu)");
    }

    private static Check Feature(string name, bool has, string use, CheckStatus without) => has
        ? new Check("machine", name, CheckStatus.Pass, $"works: {use}")
        : new Check("machine", name, without, "refused by this kernel or by the sandbox Loom runs in", "a kernel of 5.6 or newer; in a container, a seccomp profile that allows it");

    private static Check Limit(string name, string file, long few, string better)
    {
        var path = "/proc/sys/fs/inotify/" + file;
        return !long.TryParse(Read(path), NumberStyles.Integer, CultureInfo.InvariantCulture, out var most)
            ? new Check("machine", name, CheckStatus.Warning, $"{path} cannot be read; where there is no inotify, files are looked at each second")
            : most < few
                ? new Check("machine", name, CheckStatus.Warning, $"{most}; when they run out, files are looked at each second", $"sysctl -w fs.inotify.{file}={better}")
                : new Check("machine", name, CheckStatus.Pass, most.ToString(CultureInfo.InvariantCulture));
    }

    private static Check Orphaned()
    {
        var orphans = Orphans.Find(LiveProjects.RunsOf(LiveProjects.Find()));
        return orphans.IsEmpty
            ? new Check("machine", "orphans", CheckStatus.Pass, "no process of a run that no longer lives")
            : new Check("machine", "orphans", CheckStatus.Warning, $"left by runs that no longer live: {string.Join(", ", orphans.SelectMany(o => o.Processes))}", "loom down --orphans");
    }

    private static bool CanWrite(string folder)
    {
        var probe = Path.Combine(folder, "loom-doctor-" + Guid.NewGuid().ToString("N"));
        try
        {
            Directory.CreateDirectory(probe);
            Directory.Delete(probe);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string? Read(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
