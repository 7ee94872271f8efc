using System.Collections.Immutable;
using System.Globalization;
using Loom.Agents.Plans;

namespace Loom.Agents.Reload;

/// <summary>What happens to the watch over one agent's files: a closed set.</summary>
internal abstract record ReloadEvent
{
    private ReloadEvent()
    {
    }

    /// <summary>A file that counts has changed.</summary>
    internal sealed record Changed(string File) : ReloadEvent;

    /// <summary>Time has passed.</summary>
    internal sealed record Tick : ReloadEvent;

    /// <summary>The check has ended; <paramref name="Failure"/> is null when it passed.</summary>
    internal sealed record Checked(string? Failure) : ReloadEvent;
}

/// <summary>What is to be done about it: a closed set.</summary>
internal abstract record ReloadAction
{
    private ReloadAction()
    {
    }

    /// <summary>Run the check; ends in <see cref="ReloadEvent.Checked"/>.</summary>
    internal sealed record Check : ReloadAction;

    /// <summary>Exchange what runs.</summary>
    internal sealed record Reload(string Reason) : ReloadAction;

    /// <summary>Show a remark beside the agent; null takes it away.</summary>
    internal sealed record Note(string? Text) : ReloadAction;

    /// <summary>Tell the operator that the watch is suspended.</summary>
    internal sealed record Suspended(string File, int Times) : ReloadAction;
}

/// <summary>Where the watch over one agent stands. Immutable.</summary>
internal sealed record ReloadState
{
    /// <summary>Name of the agent.</summary>
    internal required string Agent { get; init; }

    /// <summary>Quiet time before a change acts.</summary>
    internal required TimeSpan Debounce { get; init; }

    /// <summary>Whether a check stands before each reload.</summary>
    internal required bool Checks { get; init; }

    /// <summary>Files changed and not acted upon yet, each once.</summary>
    internal ImmutableArray<string> Files { get; init; } = [];

    /// <summary>When what has changed acts; null = nothing has, or a check is under way.</summary>
    internal DateTimeOffset? Due { get; init; }

    /// <summary>The files whose check is under way.</summary>
    internal ImmutableArray<string>? Checking { get; init; }

    /// <summary>What set off the latest attempts, inside the window.</summary>
    internal ImmutableArray<(DateTimeOffset At, ImmutableArray<string> Files)> Attempts { get; init; } = [];

    /// <summary>Suspended until then; each further change moves it.</summary>
    internal DateTimeOffset? SuspendedUntil { get; init; }

    /// <summary>What runs is older than its files, since a suspension has ended without acting on them.</summary>
    internal bool Stale { get; init; }

    /// <summary>When a tick is wanted; null = none.</summary>
    internal DateTimeOffset? Alarm => SuspendedUntil ?? (Checking is null ? Due : null);
}

/// <summary>
/// Decides when a change of files reloads an agent. Pure. What changed during a check makes its result worthless: the files it judged are no longer there.
/// Something that changes a watched file each time the agent starts would reload it for ever; too many attempts suspend the watch until the files are quiet.
/// </summary>
internal static class ReloadMachine
{
    /// <summary>Attempts allowed inside <see cref="Window"/>; one more suspends.</summary>
    internal const int MaxAttempts = 5;

    internal static readonly TimeSpan Window = TimeSpan.FromSeconds(30);

    /// <summary>Where the watch by a plan begins: where it stood under the plan before, so that what is due or under way is not lost.</summary>
    internal static ReloadState Begin(string agent, WatchPlan plan, ReloadState? before)
    {
        var (debounce, checks) = (plan.Debounce, !plan.Check.IsEmpty);
        return before is null ? new ReloadState { Agent = agent, Debounce = debounce, Checks = checks } : before with { Debounce = debounce, Checks = checks };
    }

    internal static (ReloadState State, ImmutableArray<ReloadAction> Actions) Apply(ReloadState state, ReloadEvent happened, DateTimeOffset now) => happened switch
    {
        ReloadEvent.Changed when state.SuspendedUntil is not null => (state with { SuspendedUntil = now + Window }, []),
        ReloadEvent.Changed e => (Noted(state, e.File, now), []),
        ReloadEvent.Tick when state.SuspendedUntil is { } until => now < until
            ? (state, [])
            : (Resumed(state), [new ReloadAction.Note($"changed while suspended; save once more or loom restart {state.Agent}")]),
        ReloadEvent.Tick when state.Checking is null && state.Due <= now => Act(state, now),
        ReloadEvent.Checked e when state.Checking is { } files => Judge(state with { Checking = null }, files, e.Failure),
        _ => (state, []),
    };

    private static ReloadState Noted(ReloadState state, string file, DateTimeOffset now) =>
        state with { Files = state.Files.Contains(file) ? state.Files : state.Files.Add(file), Due = now + state.Debounce };

    private static ReloadState Resumed(ReloadState state) => state with { SuspendedUntil = null, Attempts = [], Files = [], Due = null, Stale = true };

    private static (ReloadState, ImmutableArray<ReloadAction>) Act(ReloadState state, DateTimeOffset now)
    {
        var attempts = state.Attempts.RemoveAll(a => now - a.At >= Window).Add((now, state.Files));
        if (attempts.Length > MaxAttempts)
        {
            var (file, times) = attempts.SelectMany(a => a.Files).GroupBy(f => f, StringComparer.Ordinal).Select(g => (g.Key, g.Count())).MaxBy(g => g.Item2);
            var note = string.Create(
                CultureInfo.InvariantCulture,
                $"reload suspended: '{file}' changed {times} times in {Window.TotalSeconds:0} s; it goes on once the files are quiet for {Window.TotalSeconds:0} s. If the agent writes that file itself, name it in watch.exclude");
            return (
                state with { Attempts = attempts, Files = [], Due = null, SuspendedUntil = now + Window },
                [new ReloadAction.Suspended(file, times), new ReloadAction.Note(note)]);
        }

        var acting = state with { Attempts = attempts, Files = [], Due = null };
        var reload = new ReloadAction.Reload(Reason(state.Files));
        return state switch
        {
            { Checks: true } => (acting with { Checking = state.Files }, [new ReloadAction.Check()]),
            { Stale: true } => (acting with { Stale = false }, [new ReloadAction.Note(null), reload]),
            _ => (acting, [reload]),
        };
    }

    private static (ReloadState, ImmutableArray<ReloadAction>) Judge(ReloadState state, ImmutableArray<string> files, string? failure) => (state, failure) switch
    {
        ({ Files.IsEmpty: false }, _) => (state with { Files = [.. files.Union(state.Files)] }, []), // its time comes with the next tick
        (_, null) => (state with { Stale = false }, [new ReloadAction.Note(null), new ReloadAction.Reload(Reason(files))]),
        _ => (state, [new ReloadAction.Note("reload failed: " + failure)]),
    };

    private static string Reason(ImmutableArray<string> files) =>
        files is [var only] ? $"reloading: {only} changed" : string.Create(CultureInfo.InvariantCulture, $"reloading: {files[0]} and {files.Length - 1} more changed");
}
