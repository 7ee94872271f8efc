using System.Collections.Immutable;
using Loom.Processes.Cgroups;

namespace Loom.Processes;

/// <summary>What cgroups can do for children of this program.</summary>
/// <param name="Folder">The group this program runs in; null = no cgroup v2 here.</param>
/// <param name="Controllers">What could be limited in groups below: of <c>memory</c>, <c>pids</c> and <c>cpu</c>.</param>
/// <param name="Trouble">Why no groups can be made, with what to do; null when they can.</param>
public sealed record CgroupSupport(string? Folder, ImmutableArray<string> Controllers, string? Trouble)
{
    /// <summary>Looks, and changes nothing.</summary>
    public static CgroupSupport Look()
    {
        try
        {
            return Look(CgroupPaths.Own(File.ReadAllText("/proc/self/mountinfo"), File.ReadAllText("/proc/self/cgroup")));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new CgroupSupport(null, [], $"/proc cannot be read: {e.Message}");
        }
    }

    internal static CgroupSupport Look(string? folder)
    {
        if (folder is null)
        {
            return new CgroupSupport(null, [], "this system mounts no cgroup v2 that this program belongs to; boot with a unified hierarchy");
        }

        var controllers = CgroupFile.Words(Path.Combine(folder, "cgroup.controllers")).Intersect(["memory", "pids", "cpu"]).ToImmutableArray();
        var writable = Directory.Exists(folder) && Native.Libc.Access(folder, Native.Linux.WritePermission) == 0
            && Native.Libc.Access(Path.Combine(folder, "cgroup.procs"), Native.Linux.WritePermission) == 0;
        return new CgroupSupport(folder, controllers, writable
            ? null
            : $"the group '{folder}' belongs to another user; run loom as a systemd unit with Delegate=yes ('loom systemd install' writes one)");
    }
}
