using System.Collections.Immutable;

namespace Loom.Processes;

/// <summary>When a child is started again after an end nobody asked for.</summary>
public enum RestartWhen
{
    Never,
    OnFailure,
    Always,
}

/// <summary>Why a child's life ended, as the policy sees it.</summary>
public enum EndCause
{
    /// <summary>Exit with a success code.</summary>
    Success,

    /// <summary>Any other exit code, or a signal Loom did not send.</summary>
    Failure,

    /// <summary>Not ready in time, or three failed liveness probes: Loom ended it because it did not work.</summary>
    Unhealthy,

    /// <summary>A fatal exit code, or the command cannot be started at all.</summary>
    Fatal,
}

/// <summary>What the policy remembers of earlier ends. Immutable; the owner replaces it.</summary>
/// <param name="Consecutive">Restarts in a row without a stable time between.</param>
/// <param name="Recent">Times of automatic restarts inside the window.</param>
public sealed record RestartHistory(int Consecutive, ImmutableArray<DateTimeOffset> Recent)
{
    public static RestartHistory Empty { get; } = new(0, []);
}

/// <summary>What follows an end: a closed set.</summary>
public abstract record RestartDecision
{
    private RestartDecision()
    {
    }

    /// <summary>Start again after <paramref name="Delay"/>.</summary>
    public sealed record Again(TimeSpan Delay, RestartHistory History) : RestartDecision;

    /// <summary>Done: success and no restart wanted.</summary>
    public sealed record Complete : RestartDecision;

    /// <summary>Give up, with the reason for an operator.</summary>
    public sealed record GiveUp(string Reason) : RestartDecision;
}

/// <summary>
/// A pure choice: given how a child ended and what came before, what next. Immutable. Engines bring their own subclass with a breaker.
/// </summary>
public record RestartPolicy
{
    public static RestartPolicy Never { get; } = new() { When = RestartWhen.Never };

    public static RestartPolicy OnFailure { get; } = new();

    public static RestartPolicy Always { get; } = new() { When = RestartWhen.Always };

    public RestartWhen When { get; init; } = RestartWhen.OnFailure;

    /// <summary>First delay. Default 1 s.</summary>
    public TimeSpan BackoffFirst { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Longest delay. Default 60 s.</summary>
    public TimeSpan BackoffMax { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Growth of the delay. Default 2.</summary>
    public double Factor { get; init; } = 2;

    /// <summary>Random share added to or taken from the delay. Default 0.1.</summary>
    public double Jitter { get; init; } = 0.1;

    /// <summary>Automatic restarts allowed inside <see cref="Window"/>; one more gives up. Default 10.</summary>
    public int Storm { get; init; } = 10;

    /// <summary>Sliding window of the storm limit. Default 60 s.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Stable time after which delays start anew. Default 300 s.</summary>
    public TimeSpan ResetAfter { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>Consecutive restarts allowed; 0 = no limit. Default 0.</summary>
    public int Max { get; init; }

    /// <summary>Decides what follows an end.</summary>
    /// <param name="cause">Why the child ended.</param>
    /// <param name="aliveFor">How long it lived.</param>
    /// <param name="readyFor">How long of that it was ready; zero = it never was.</param>
    /// <param name="history">What came before.</param>
    /// <param name="now">Present time.</param>
    /// <param name="chance">A number from 0 up to 1, for the jitter.</param>
    public virtual RestartDecision Decide(EndCause cause, TimeSpan aliveFor, TimeSpan readyFor, RestartHistory history, DateTimeOffset now, double chance)
    {
        if (cause == EndCause.Fatal)
        {
            return new RestartDecision.GiveUp("ended with a fatal code");
        }

        var wanted = When == RestartWhen.Always || (When == RestartWhen.OnFailure && cause != EndCause.Success);
        if (!wanted)
        {
            return cause == EndCause.Success ? new RestartDecision.Complete() : new RestartDecision.GiveUp("failed, and its restart policy is never");
        }

        var consecutive = aliveFor >= ResetAfter ? 0 : history.Consecutive;
        if (Max > 0 && consecutive >= Max)
        {
            return new RestartDecision.GiveUp($"{consecutive} restarts in a row, the limit (restart.max)");
        }

        var recent = history.Recent.RemoveAll(t => now - t >= Window);
        if (recent.Length >= Storm)
        {
            return new RestartDecision.GiveUp($"{recent.Length + 1} restarts in {Window.TotalSeconds:0} s, more than the storm limit of {Storm}");
        }

        var delay = Math.Min(BackoffFirst.TotalSeconds * Math.Pow(Factor, Math.Min(consecutive, 64)), BackoffMax.TotalSeconds);
        delay *= 1 + (Jitter * ((2 * chance) - 1));
        return new RestartDecision.Again(TimeSpan.FromSeconds(delay), new RestartHistory(consecutive + 1, recent.Add(now)));
    }
}
