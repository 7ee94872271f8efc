namespace Loom.Processes.Cgroups;

/// <summary>Where groups lie, from the text of <c>/proc</c>. Pure.</summary>
internal static class CgroupPaths
{
    private const string RunPrefix = "loom-";

    /// <summary>The folder of the v2 group a process is in; null when there is no such hierarchy, or its mount does not show the group.</summary>
    /// <param name="mountInfo">Text of <c>/proc/self/mountinfo</c>: id, parent, device, root, mount point, options, .., <c>-</c>, type, ...</param>
    /// <param name="membership">Text of <c>/proc/self/cgroup</c>: the v2 line begins with <c>0::</c>.</param>
    internal static string? Own(string mountInfo, string membership)
    {
        var path = membership.Split('\n').FirstOrDefault(l => l.StartsWith("0::", StringComparison.Ordinal))?[3..];
        if (path is null || path.Contains("/../", StringComparison.Ordinal) || path.EndsWith(" (deleted)", StringComparison.Ordinal))
        {
            return null;
        }

        foreach (var line in mountInfo.Split('\n'))
        {
            var fields = line.Split(' ');
            var dash = Array.IndexOf(fields, "-");
            if (dash < 5 || fields.Length <= dash + 1 || fields[dash + 1] != "cgroup2")
            {
                continue;
            }

            // The mount may show a part of the hierarchy only, in a container for example.
            var root = fields[3] == "/" ? string.Empty : fields[3];
            if (path == root || path.StartsWith(root + "/", StringComparison.Ordinal))
            {
                return Path.TrimEndingDirectorySeparator(fields[4].Replace("\\040", " ", StringComparison.Ordinal) + path[root.Length..]);
            }
        }

        return null;
    }

    /// <summary>Name of the folder that holds the groups of one run.</summary>
    internal static string RunFolder(string runId) => RunPrefix + runId;

    /// <summary>Name of a child's folder in it: begins with no controller's name, so it cannot be taken for a file of the kernel's.</summary>
    internal static string ChildFolder(string name) => "child-" + name;
}
