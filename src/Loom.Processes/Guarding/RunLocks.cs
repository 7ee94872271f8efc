using System.Collections.Immutable;
using Loom.Core.Storage;
using Loom.Processes.Table;

namespace Loom.Processes.Guarding;

/// <summary>Finds files that processes of this user hold open. That is how running projects are found wherever they lie: each holds its lock.</summary>
public static class RunLocks
{
    /// <summary>Paths that processes of this user have open now.</summary>
    /// <param name="wanted">Which ones; asked with the path the kernel gives.</param>
    public static ImmutableArray<string> Open(Func<string, bool> wanted)
    {
        var found = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var entry in ProcessTable.Read().Entries)
        {
            if (entry.Alive && Own(entry.Pid))
            {
                found.UnionWith(OpenBy(entry.Pid).Where(wanted));
            }
        }

        return [.. found];
    }

    internal static bool Own(int pid)
    {
        try
        {
            PrivateFolder.Check($"/proc/{pid}");
            return true;
        }
        catch (IOException)
        {
            return false; // another user's, or gone
        }
    }

    internal static IEnumerable<string> OpenBy(int pid)
    {
        string[] descriptors;
        try
        {
            descriptors = Directory.GetFileSystemEntries($"/proc/{pid}/fd");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            yield break; // gone, or it does not let itself be looked into
        }

        foreach (var descriptor in descriptors)
        {
            if (TargetOf(descriptor) is { } target)
            {
                yield return target;
            }
        }
    }

    private static string? TargetOf(string descriptor)
    {
        try
        {
            return new FileInfo(descriptor).LinkTarget;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
