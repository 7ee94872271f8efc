using System.Collections.Immutable;
using System.Globalization;

namespace Loom.Processes.Cgroups;

/// <summary>The group of one child.</summary>
internal sealed class ChildGroup(string folder)
{
    /// <summary>The kernel accounts processor time in periods of this many microseconds.</summary>
    private const int Period = 100_000;

    internal string Folder { get; } = folder;

    /// <summary>Live processes in it and in groups the child made below it.</summary>
    internal ImmutableArray<int> Members()
    {
        try
        {
            return [.. Directory.EnumerateDirectories(Folder, "*", SearchOption.AllDirectories)
                .Prepend(Folder)
                .SelectMany(f => CgroupFile.Words(Path.Combine(f, "cgroup.procs")))
                .Select(w => int.TryParse(w, NumberStyles.None, CultureInfo.InvariantCulture, out var pid) ? pid : 0)
                .Where(p => p > 1)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Takes a process in; what it starts from then on is in it too.</summary>
    /// <returns>Null, or why it was refused.</returns>
    internal string? Enter(int pid) => CgroupFile.Write(Path.Combine(Folder, "cgroup.procs"), pid.ToString(CultureInfo.InvariantCulture));

    /// <summary>Kills all that is in it at once, also what is being forked at that moment.</summary>
    internal void Kill() => _ = CgroupFile.Write(Path.Combine(Folder, "cgroup.kill"), "1");

    /// <summary>How often the kernel killed something in it for want of memory.</summary>
    internal long MemoryKills() => CgroupFile.Number(Path.Combine(Folder, "memory.events"), "oom_kill");

    /// <summary>Sets what is limited; what is not is without limit again.</summary>
    /// <returns>What the kernel refused; empty = all is set.</returns>
    internal ImmutableArray<string> Limit(ProcessLimits limits, ImmutableArray<string> controllers)
    {
        var refused = ImmutableArray.CreateBuilder<string>();
        if (controllers.Contains("memory"))
        {
            Set("memory.max", Text(limits.MemoryBytes));
            Set("memory.oom.group", limits.MemoryBytes is null ? "0" : "1"); // half a process tree is worth nothing
        }

        if (controllers.Contains("pids"))
        {
            Set("pids.max", Text(limits.Pids));
        }

        if (controllers.Contains("cpu"))
        {
            Set("cpu.max", string.Create(CultureInfo.InvariantCulture, $"{(limits.Cpu is { } cores ? Text((long)(cores * Period)) : "max")} {Period}"));
        }

        return refused.ToImmutable();

        void Set(string file, string value)
        {
            if (CgroupFile.Write(Path.Combine(Folder, file), value) is { } why)
            {
                refused.Add(why);
            }
        }
    }

    /// <summary>Takes the group away if it is empty.</summary>
    internal void Remove() => RunGroup.Remove(Folder);

    internal static void RemoveFolder(string folder)
    {
        try
        {
            // The kernel's own files go with the folder; it is removed by rmdir, not file by file.
            Directory.Delete(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // not empty yet, or gone: the next who cleans up this run takes it
        }
    }

    private static string Text(long? value) => value?.ToString(CultureInfo.InvariantCulture) ?? "max";
}
