namespace Loom.Cli.Status;

/// <summary>What is waited for.</summary>
internal enum WaitGoal
{
    /// <summary>It is ready, or has done its work.</summary>
    Ready,

    /// <summary>It has come to its end.</summary>
    Ended,
}

/// <summary>Where a wait stands.</summary>
internal enum WaitVerdict
{
    Pending,
    Met,

    /// <summary>What is waited for cannot come any more without somebody's help.</summary>
    Hopeless,
}

/// <summary>One thing waited for, as it is.</summary>
internal readonly record struct WaitItem(string Name, string Kind, string State, string? Why, WaitVerdict Verdict);

/// <summary>Judges what is waited for by a look at the project. Pure.</summary>
internal static class WaitJudgement
{
    /// <summary>The items of a look, judged.</summary>
    public static List<WaitItem> Of(StatusView view, WaitGoal goal) =>
    [
        .. view.Processes.Select(p => new WaitItem(p.Name, p.Kind, p.State, p.Reason, OfProcess(p.State, goal))),
        .. view.Pools.Select(p => new WaitItem(p.Name, "pool", p.State, p.LastError, OfPool(p.State, goal))),
        .. view.Systems.Select(s => new WaitItem(s.Name, "system", s.State, s.Note, OfSystem(s.State, goal))),
    ];

    /// <summary>Hopeless when one item is, met when all are.</summary>
    public static WaitVerdict Of(IReadOnlyCollection<WaitItem> items) =>
        items.Any(i => i.Verdict == WaitVerdict.Hopeless) ? WaitVerdict.Hopeless
        : items.All(i => i.Verdict == WaitVerdict.Met) ? WaitVerdict.Met : WaitVerdict.Pending;

    // A stopped one may be started again by somebody else, so it is no reason to give up before the time is over.
    private static WaitVerdict OfProcess(string state, WaitGoal goal) => (state, goal) switch
    {
        ("failed" or "skipped" or "blocked", _) => WaitVerdict.Hopeless,
        ("ready", WaitGoal.Ready) or ("completed", _) or ("stopped", WaitGoal.Ended) => WaitVerdict.Met,
        _ => WaitVerdict.Pending,
    };

    private static WaitVerdict OfSystem(string state, WaitGoal goal) => (state, goal) switch
    {
        ("failed", _) => WaitVerdict.Hopeless,
        ("running", WaitGoal.Ready) or ("ended", _) or ("stopped", WaitGoal.Ended) => WaitVerdict.Met,
        _ => WaitVerdict.Pending,
    };

    private static WaitVerdict OfPool(string state, WaitGoal goal) => (state, goal) switch
    {
        ("failed", _) => WaitVerdict.Hopeless,
        ("ready", WaitGoal.Ready) or ("stopped", WaitGoal.Ended) => WaitVerdict.Met,
        _ => WaitVerdict.Pending,
    };
}
