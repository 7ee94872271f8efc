namespace Loom.Core.Settings.Rules;

/// <summary>Times that work only in proportion: R13, R14.</summary>
internal static class TimingRules
{
    private const string Timeout = "serving.node_timeout_ms";
    private const string HeartbeatKey = "serving.node.heartbeat_interval_secs";
    private const string StaleCheckKey = "serving.stale_check_interval_secs";

    public static void Heartbeat(Draft draft)
    {
        var known = draft.Part == LoomPart.Up || (draft.IsGiven(Timeout) && draft.IsGiven(HeartbeatKey));
        if (known && Both(draft, HeartbeatKey) is { } both && both.Seconds * 1000 >= both.Timeout)
        {
            var key = draft.IsGiven(HeartbeatKey) || !draft.IsGiven(Timeout) ? HeartbeatKey : Timeout;
            draft.Report("R13", key, FormattableString.Invariant($"a heartbeat every {both.Seconds} s cannot keep a node online that goes offline after {both.Timeout} ms; the agent beats every third of that"),
                FormattableString.Invariant($"a heartbeat of {Math.Max(1, both.Timeout / 3000)} s or less"), FaultSeverity.Warning);
        }
    }

    public static void StaleCheck(Draft draft)
    {
        if (draft.RunsControlPlane && (draft.IsGiven(StaleCheckKey) || draft.IsGiven(Timeout)) && Both(draft, StaleCheckKey) is { } both && both.Seconds * 1000 > both.Timeout)
        {
            var key = draft.IsGiven(StaleCheckKey) ? StaleCheckKey : Timeout;
            draft.Report("R14", key, FormattableString.Invariant($"stale nodes are looked for every {both.Seconds} s, but go offline after {both.Timeout} ms"),
                "check at least as often as the timeout", FaultSeverity.Warning);
        }
    }

    private static (long Seconds, long Timeout)? Both(Draft draft, string secondsKey) =>
        !draft.IsAtFault(secondsKey) && !draft.IsAtFault(Timeout) && draft.Value<long?>(secondsKey) is { } seconds && draft.Value<long?>(Timeout) is { } timeout
            ? (seconds, timeout)
            : null;
}
