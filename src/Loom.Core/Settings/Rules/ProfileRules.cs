namespace Loom.Core.Settings.Rules;

/// <summary>What HOME and CLOUD ask for: R1, R2, R4, R17.</summary>
internal static class ProfileRules
{
    private const string Url = "serving.node.control_plane_url";
    private const string NodeId = "serving.node.id";
    private const string Cloud = "serving.cloud_profile";

    // "Handoff Watcher (HOME_PROFILE Only)" and "Node Management (CLOUD_PROFILE Only)" of seeds/001.
    private static readonly string[] s_homeOnly = ["serving.runtime_dir", "serving.handoff_watch_interval_ms"];
    private static readonly string[] s_cloudOnly = ["serving.node_timeout_ms", "serving.stale_check_interval_secs"];

    public static void TokenInCloud(Draft draft)
    {
        if (draft.Profile == SettingsProfile.Cloud && (draft.RunsControlPlane || draft.RunsNodeAgent) && !HasToken(draft))
        {
            draft.ReportMissing("R1", "auth.token", Because(draft), draft.Part == LoomPart.PoolManagerd
                ? "the control plane's token in LLORCH_API_TOKEN, or a file in LLORCH_API_TOKEN_FILE"
                : "a secret of at least 32 characters in LLORCH_API_TOKEN, or a file in LLORCH_API_TOKEN_FILE");
        }
    }

    // In `loom up` agent and control plane share the process, so the agent alone needs a name and an address.
    public static void NodeInCloud(Draft draft)
    {
        if (draft.Profile != SettingsProfile.Cloud || draft.Part != LoomPart.PoolManagerd)
        {
            return;
        }

        if (!draft.IsGiven(NodeId))
        {
            draft.ReportMissing("R2", NodeId, Because(draft), "a name no other node has, for example POOL_MANAGERD_NODE_ID=gpu-node-1");
        }

        if (!draft.IsGiven(Url))
        {
            draft.ReportMissing("R2", Url, Because(draft), "for example ORCHESTRATORD_URL=http://queen-rbee:8080");
        }
    }

    public static void ProfileContradiction(Draft draft)
    {
        if (draft.Part == LoomPart.PoolManagerd && draft.IsGiven(Url) && draft.Given(Cloud)?.Value is false)
        {
            draft.Report("R4", Url, $"{draft.Told(Cloud)} keeps this node in HOME, where it does not register", "unset one of them");
        }
    }

    public static void OtherProfileOnly(Draft draft)
    {
        var (keys, only, now) = draft.Profile == SettingsProfile.Cloud ? (s_homeOnly, "HOME", "CLOUD") : (s_cloudOnly, "CLOUD", "HOME");
        foreach (var key in keys)
        {
            if (draft.IsGiven(key) && !draft.IsAtFault(key))
            {
                draft.Report("R17", key, $"belongs to {only} and has no effect in {now}", "unset it", FaultSeverity.Warning);
            }
        }
    }

    public static void NodeWithoutControlPlane(Draft draft)
    {
        if (draft.Profile == SettingsProfile.Home && draft.IsGiven(NodeId) && !draft.IsGiven(Url) && !draft.IsAtFault(Url) && draft.Part == LoomPart.PoolManagerd)
        {
            draft.Report("R17", NodeId, "without ORCHESTRATORD_URL this node will not register", "set ORCHESTRATORD_URL, or unset the node id", FaultSeverity.Warning);
        }
        else if (draft.Profile == SettingsProfile.Home && draft.IsGiven(Url) && draft.Part != LoomPart.PoolManagerd)
        {
            draft.Report("R17", Url, "belongs to CLOUD and has no effect in HOME", "unset it, or set ORCHESTRATORD_CLOUD_PROFILE=true", FaultSeverity.Warning);
        }
    }

    /// <summary>A token of the user's own, or a fault about it that says enough.</summary>
    public static bool HasToken(Draft draft) =>
        draft.IsGiven("auth.token") || draft.IsGiven("auth.token_file") || draft.IsAtFault("auth.token") || draft.IsAtFault("auth.token_file");

    private static string Because(Draft draft) => $"required because {draft.ProfileReason}";
}
