using System.Collections.Immutable;
using Loom.Processes.Table;

namespace Loom.Processes.Guarding;

/// <summary>What is left of a run that nobody keeps any more.</summary>
/// <param name="RunId">The run its processes were marked with.</param>
/// <param name="Processes">Pid and command of each.</param>
public sealed record OrphanedRun(string RunId, ImmutableArray<string> Processes);

/// <summary>Finds processes that carry the mark of a run though no runtime of it lives.</summary>
public static class Orphans
{
    private const string Keeper = "loom";

    /// <summary>Looks for them.</summary>
    /// <param name="livingRuns">Ids of runs that are known to live.</param>
    /// <returns>
    /// Runs that are not among them, each with its processes. A process below a <c>loom</c> is left out even then: that one may keep it without holding a
    /// project, as a download or a doctor does, or from a place whose files cannot be seen from here.
    /// </returns>
    public static ImmutableArray<OrphanedRun> Find(IReadOnlySet<string> livingRuns)
    {
        var table = ProcessTable.Read();
        return
        [
            .. table.Entries
                .Where(e => e.Alive && e.Pid != Environment.ProcessId)
                .Select(e => (Entry: e, Run: ChildEnvironment.Read(e.Pid).Run))
                .Where(m => m.Run is { Length: > 0 } run && !livingRuns.Contains(run) && RunLocks.Own(m.Entry.Pid) && !IsKept(m.Entry, table))
                .GroupBy(m => m.Run!, StringComparer.Ordinal)
                .Select(g => new OrphanedRun(g.Key, [.. g.Select(m => $"{m.Entry.Pid} ({ProcFile.CommandOf(m.Entry.Pid)})")])),
        ];
    }

    private static bool IsKept(ProcessEntry entry, ProcessTable table)
    {
        for (var parent = table.Find(entry.Parent); parent is { Pid: > 1 } above; parent = table.Find(above.Parent))
        {
            if (ProcFile.NameOf(above.Pid) == Keeper)
            {
                return true;
            }
        }

        return RunLocks.OpenBy(entry.Pid).Any(p => p.EndsWith("/.loom/run/lock", StringComparison.Ordinal)); // a runtime that an agent of that run started
    }
}
