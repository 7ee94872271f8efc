using Loom.Core.Settings;
using Loom.Processes;

namespace Loom.Agents.Settings;

/// <summary>Limits that this machine cannot hold a process to.</summary>
public static class LimitRules
{
    /// <summary>A rule that warns of each limit that would be passed over.</summary>
    /// <param name="look">Tells what cgroups can do here; asked only when a limit needs one.</param>
    public static Action<Draft> With(Func<CgroupSupport> look) => draft =>
    {
        var use = draft.Settings.Get(RuntimeSettings.Cgroup);
        CgroupSupport? support = null;
        foreach (var table in (ReadOnlySpan<string>)["agents", "mcp"])
        {
            foreach (var name in draft.Names(table))
            {
                Limit(draft, Draft.Key(table, name, "limits", "pids"), "pids", use, () => support ??= look());
                Limit(draft, Draft.Key(table, name, "limits", "cpu"), "cpu", use, () => support ??= look());
            }
        }
    };

    // Open files and nice need no group; memory is sampled where there is none.
    private static void Limit(Draft draft, string key, string controller, CgroupUse use, Func<CgroupSupport> look)
    {
        if (!draft.IsGiven(key))
        {
            return;
        }

        var trouble = use == CgroupUse.Off ? "runtime.cgroup is off"
            : look() is { Trouble: { } reason } ? reason
            : !look().Controllers.Contains(controller) ? $"the cgroup controller '{controller}' is not available to this program"
            : null;
        if (trouble is not null)
        {
            draft.Report(FaultCode.Rule, key, $"this limit cannot be held here: {trouble}", use == CgroupUse.Off ? "runtime.cgroup = \"auto\"" : null, FaultSeverity.Warning);
        }
    }
}
