using System.Collections.Immutable;

namespace Loom.Core.Settings.Rules;

/// <summary>Defaults that follow from other settings. They run in this order, before the plain defaults.</summary>
public static class Derivations
{
    private static readonly string[] s_handoffFolders = ["serving.runtime_dir", "serving.node.runtime_dir", "serving.provisioner.handoff_dir"];

    // On a node the control plane's folder is that of another machine; it counts last.
    private static readonly string[] s_handoffFoldersOfNode = ["serving.node.runtime_dir", "serving.provisioner.handoff_dir", "serving.runtime_dir"];

    /// <summary>All of them.</summary>
    public static ImmutableArray<Action<Draft>> All { get; } = [HandoffFolders, WatchIntervals, NodeId, NodePools, MetricsPort];

    // One folder is meant by all three; whoever names it, names it for all.
    private static void HandoffFolders(Draft draft)
    {
        foreach (var given in draft.RunsControlPlane ? s_handoffFolders : s_handoffFoldersOfNode)
        {
            if (!draft.IsGiven(given))
            {
                continue;
            }

            foreach (var key in s_handoffFolders)
            {
                draft.Derive(key, draft.Value<string>(given)!);
            }

            return;
        }
    }

    // In HOME one watcher serves both parts.
    private static void WatchIntervals(Draft draft)
    {
        const string Control = "serving.handoff_watch_interval_ms";
        const string Node = "serving.node.watch_interval_ms";
        if (draft.Profile == SettingsProfile.Home && draft.IsGiven(Control) != draft.IsGiven(Node))
        {
            var (given, other) = draft.IsGiven(Control) ? (Control, Node) : (Node, Control);
            draft.Derive(other, draft.Value<long>(given));
        }
    }

    private static void NodeId(Draft draft)
    {
        if (draft.Profile == SettingsProfile.Home)
        {
            draft.Derive("serving.node.id", draft.Request.HostName);
        }
    }

    private static void NodePools(Draft draft)
    {
        var names = draft.Names("serving.pools");
        draft.Derive("serving.node.pools", names.IsEmpty ? ImmutableArray.Create("default") : names);
    }

    private static void MetricsPort(Draft draft)
    {
        if (draft.Part == LoomPart.PoolManagerd)
        {
            draft.Derive("telemetry.metrics_port", 9091L);
        }
    }
}
