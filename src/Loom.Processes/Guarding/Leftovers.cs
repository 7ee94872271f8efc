using System.Collections.Immutable;
using Loom.Processes.Cgroups;
using Loom.Processes.Native;
using Loom.Processes.Table;

namespace Loom.Processes.Guarding;

/// <summary>A child of a supervisor that is gone.</summary>
/// <param name="Leader">The child itself, leader of its session and group.</param>
/// <param name="Grace">Time between TERM and KILL for it.</param>
public readonly record struct Leftover(ProcessIdentity Leader, TimeSpan Grace);

/// <summary>
/// Ends what a dead supervisor left behind: by session, by descent, by the run id in the environment, until two looks in a row find nothing. Nothing is
/// signalled on the strength of a pid alone.
/// </summary>
public sealed class Leftovers
{
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(25);
    private static readonly TimeSpan s_killPatience = TimeSpan.FromSeconds(5);

    private readonly string _runId;
    private readonly ImmutableArray<Leftover> _children;
    private readonly TimeSpan _longest;
    private readonly TimeProvider _time;
    private readonly bool _fresh;
    private readonly string? _groups;
    private readonly HashSet<ProcessIdentity> _known = [];
    private readonly HashSet<ProcessIdentity> _asked = [];
    private readonly HashSet<int> _sessions = [];

    private Leftovers(string runId, ImmutableArray<Leftover> children, IEnumerable<ProcessIdentity> strays, string? groups, bool fresh, TimeProvider time)
    {
        _runId = runId;
        _groups = groups is not null && Path.GetFileName(groups) == CgroupPaths.RunFolder(runId) ? groups : null;
        _children = children;
        _known.UnionWith(strays);
        _fresh = fresh;
        _time = time;
        _longest = children.Select(c => c.Grace).Append(TimeSpan.FromSeconds(1)).Max();
    }

    /// <summary>Ends everything of a run.</summary>
    /// <param name="runId">Its run id.</param>
    /// <param name="children">Its children, as they were registered.</param>
    /// <param name="strays">Processes known to belong to it outside their sessions.</param>
    /// <param name="groups">Folder of the run's cgroups; null = it had none. One that does not bear the run's id is not believed.</param>
    /// <param name="fresh">
    /// True when the registrations are up to the second (the guardian): a session whose leader has just gone is then still ours. False for a file of unknown
    /// age: without its leader a session number may mean a stranger, so only the environment counts.
    /// </param>
    /// <param name="time">Clock.</param>
    /// <param name="cancellationToken">Ends the waiting, not the ended.</param>
    /// <returns>Survivors by pid and the kernel's name of them, since a command line may hold a secret; empty when nothing is left.</returns>
    public static Task<ImmutableArray<string>> EndAsync(
        string runId,
        ImmutableArray<Leftover> children,
        IEnumerable<ProcessIdentity> strays,
        string? groups,
        bool fresh,
        TimeProvider time,
        CancellationToken cancellationToken) =>
        new Leftovers(runId, children, strays, groups, fresh, time).RunAsync(cancellationToken);

    /// <summary>True while that very process lives.</summary>
    public static bool IsAlive(ProcessIdentity identity) =>
        ProcessTable.ReadEntry(identity.Pid) is { Alive: true } entry && entry.StartTicks == identity.StartTicks;

    /// <summary>Sends a signal to that very process, or to nobody.</summary>
    /// <returns>False when it is gone.</returns>
    public static bool Signal(ProcessIdentity identity, int signal) => Signals.Send(identity, signal);

    private async Task<ImmutableArray<string>> RunAsync(CancellationToken cancellationToken)
    {
        var start = _time.GetTimestamp();
        for (var quiet = 0; ;)
        {
            var passed = _time.GetElapsedTime(start);
            var table = ProcessTable.Read();
            var found = Find(table);
            if (found.Count == 0)
            {
                if (++quiet == 2)
                {
                    if (_groups is not null)
                    {
                        RunGroup.Remove(_groups);
                    }

                    return [];
                }

                continue;
            }

            quiet = 0;
            if (passed > _longest + s_killPatience)
            {
                return [.. found.Select(e => $"{e.Pid} ({ProcFile.NameOf(e.Pid)})")];
            }

            foreach (var entry in found)
            {
                End(entry, passed);
            }

            if (passed >= _longest)
            {
                Groups().ForEach(g => g.Kill());
            }

            await Task.Delay(s_lookEvery, _time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>All live processes of the run. Descent first: once a parent is dead, its children hang below init and look like anybody's.</summary>
    private List<ProcessEntry> Find(ProcessTable table)
    {
        foreach (var child in _children)
        {
            var leader = table.Find(child.Leader.Pid);
            if (leader?.StartTicks == child.Leader.StartTicks || (leader is null && _fresh))
            {
                _sessions.Add(child.Leader.Pid);
            }
            else if (leader is not null)
            {
                _sessions.Remove(child.Leader.Pid); // the number went to a stranger
            }
        }

        _known.RemoveWhere(k => !table.IsAlive(k));
        foreach (var entry in table.Entries)
        {
            if (entry.Alive && (_sessions.Contains(entry.Session) || _sessions.Contains(entry.Group)))
            {
                _known.Add(entry.Identity);
            }
        }

        foreach (var pid in Groups().SelectMany(g => g.Members()))
        {
            if (table.Find(pid) is { Alive: true } entry)
            {
                _known.Add(entry.Identity);
            }
        }

        foreach (var pid in table.Descendants(_known.Select(k => k.Pid)))
        {
            _known.Add(table.Find(pid)!.Value.Identity);
        }

        foreach (var entry in table.Entries)
        {
            if (entry.Alive && !_known.Contains(entry.Identity) && ChildEnvironment.Read(entry.Pid).Run == _runId)
            {
                _known.Add(entry.Identity);
            }
        }

        return [.. table.Entries.Where(e => e.Alive && e.Pid != Environment.ProcessId && _known.Contains(e.Identity))];
    }

    private List<ChildGroup> Groups() => _groups is null ? [] : [.. RunGroup.ChildrenOf(_groups)];

    private void End(ProcessEntry entry, TimeSpan passed)
    {
        var grace = _children.Where(c => c.Leader.Pid == entry.Session).Select(c => c.Grace).DefaultIfEmpty(_longest).First();
        if (passed >= grace)
        {
            _ = Signals.Send(entry.Identity, Linux.SigKill);
        }
        else if (_asked.Add(entry.Identity))
        {
            _ = Signals.Send(entry.Identity, Linux.SigTerm);
            _ = Signals.Send(entry.Identity, Linux.SigContinue);
        }
    }
}
