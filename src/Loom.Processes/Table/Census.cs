using System.Collections.Immutable;
using Loom.Processes.Spawning;

namespace Loom.Processes.Table;

/// <summary>
/// Tells which processes belong to a child. Four marks, any one suffices: its session, its group, its place in the parent tree (remembered once seen),
/// and the run and process id in its environment.
/// </summary>
/// <param name="runId">Run id of this supervisor's children.</param>
/// <param name="oldest">Start ticks below which nothing can be ours: those of the supervisor.</param>
internal sealed class Census(string runId, long oldest)
{
    private ProcessTable _table = new([]);
    private ILookup<string, ProcessEntry>? _marked;

    internal ProcessTable Table => _table;

    /// <summary>Looks at the system anew; everything below speaks of that moment.</summary>
    internal void Take()
    {
        _table = ProcessTable.Read();
        _marked = null;
    }

    /// <summary>Adds to <paramref name="strays"/> what now hangs below the child but outside its session, and drops what has ended.</summary>
    internal void Trace(ProcessIdentity leader, HashSet<ProcessIdentity> strays)
    {
        strays.RemoveWhere(s => !_table.IsAlive(s));
        if (strays.Count == 0 && !_table.HasChildren(leader.Pid))
        {
            return; // the usual case, looked at every second for every child
        }

        foreach (var pid in _table.Descendants([leader.Pid, .. strays.Select(s => s.Pid)]))
        {
            if (_table.Find(pid) is { Alive: true } entry && entry.Session != leader.Pid && entry.Group != leader.Pid)
            {
                strays.Add(entry.Identity);
            }
        }
    }

    /// <summary>What a child and everything known of it use; without a look into environments, since this is asked every second.</summary>
    internal ProcessUsage Usage(ProcessIdentity leader, HashSet<ProcessIdentity> strays) =>
        UsageSample.Sum(_table.Entries.Where(e => e.Session == leader.Pid || e.Group == leader.Pid || strays.Contains(e.Identity)));

    /// <summary>All live processes of a child but its leader. The leader must be unreaped, or its number may mean a stranger's session.</summary>
    /// <param name="leader">The child.</param>
    /// <param name="name">Its name.</param>
    /// <param name="strays">What was seen of it outside its session.</param>
    /// <param name="grouped">What its cgroup holds.</param>
    internal ImmutableArray<ProcessEntry> Members(ProcessIdentity leader, string name, HashSet<ProcessIdentity> strays, ImmutableArray<int> grouped)
    {
        Trace(leader, strays);
        return [.. _table.Entries
            .Where(e => e.Session == leader.Pid || e.Group == leader.Pid || strays.Contains(e.Identity) || grouped.Contains(e.Pid))
            .Concat(Marked(name))
            .Where(e => e.Alive && e.Pid != leader.Pid)
            .DistinctBy(e => e.Pid)];
    }

    /// <summary>Live processes that carry this run and <paramref name="name"/> in their environment, but are no direct children of ours.</summary>
    internal IEnumerable<ProcessEntry> Marked(string name) => Marks[name];

    /// <summary>The same of any name.</summary>
    internal IEnumerable<ProcessEntry> AllMarked() => Marks.SelectMany(g => g);

    private ILookup<string, ProcessEntry> Marks => _marked ??= _table.Entries
        .Where(e => e.Alive && e.StartTicks >= oldest && e.Pid != Environment.ProcessId && !Children.Contains(e.Pid))
        .Select(e => (Entry: e, Marks: ChildEnvironment.Read(e.Pid)))
        .Where(m => m.Marks.Run == runId)
        .ToLookup(m => m.Marks.Process ?? string.Empty, m => m.Entry);

    /// <summary>Orphans that the kernel gave to this program.</summary>
    internal IEnumerable<ProcessEntry> Adopted() =>
        _table.Entries.Where(e => e.Parent == Environment.ProcessId && !Children.Contains(e.Pid));
}
