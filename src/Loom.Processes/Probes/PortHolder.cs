using System.Globalization;
using Loom.Processes.Table;

namespace Loom.Processes.Probes;

/// <summary>Who listens on a TCP port of this machine, as far as we may look.</summary>
/// <param name="Pid">Process id.</param>
/// <param name="Command">Its name.</param>
public sealed record PortHolder(int Pid, string Command)
{
    public override string ToString() => $"pid {Pid} ({Command})";

    /// <summary>Finds the listener; null when there is none or it belongs to a user whose descriptors we may not see.</summary>
    public static PortHolder? Find(int port)
    {
        var sockets = Listening("/proc/net/tcp", port).Concat(Listening("/proc/net/tcp6", port)).Select(i => $"socket:[{i}]").ToHashSet(StringComparer.Ordinal);
        if (sockets.Count == 0)
        {
            return null;
        }

        foreach (var entry in ProcessTable.Read().Entries)
        {
            if (Holds(entry.Pid, sockets))
            {
                return new PortHolder(entry.Pid, ProcFile.NameOf(entry.Pid));
            }
        }

        return null;
    }

    /// <summary>Inodes of sockets in state LISTEN with that local port. Text of <c>/proc/net/tcp</c>: number, local, remote, state, .., inode as tenth field.</summary>
    internal static IEnumerable<string> Parse(IEnumerable<string> lines, int port)
    {
        var ending = ":" + port.ToString("X4", CultureInfo.InvariantCulture);
        return lines.Skip(1)
            .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(f => f.Length > 9 && f[3] == "0A" && f[1].EndsWith(ending, StringComparison.Ordinal))
            .Select(f => f[9]);
    }

    private static IEnumerable<string> Listening(string table, int port) => File.Exists(table) ? Parse(File.ReadLines(table), port) : [];

    private static bool Holds(int pid, HashSet<string> sockets)
    {
        try
        {
            return Directory.EnumerateFileSystemEntries($"/proc/{pid}/fd").Any(f => new FileInfo(f).LinkTarget is { } target && sockets.Contains(target));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false; // ended meanwhile, or not ours to look into
        }
    }
}
