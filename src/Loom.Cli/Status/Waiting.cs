using Loom.Cli.Terminal;
using Loom.Cli.Verbs;

namespace Loom.Cli.Status;

/// <summary>Waits until named parts of a running project are where they shall be.</summary>
internal sealed class Waiting(VerbContext context, RunningProject project)
{
    private static readonly TimeSpan s_lookEvery = TimeSpan.FromMilliseconds(100);

    /// <summary>Looks until all is met.</summary>
    /// <param name="names">Processes, agents or pools.</param>
    /// <param name="goal">What is waited for.</param>
    /// <param name="limit">Longest wait; null = none.</param>
    /// <param name="stop">Ends the wait.</param>
    /// <returns>How they are at the end.</returns>
    /// <exception cref="CliError">Time is over (5), one of them cannot get there (4), one is unknown or nothing runs (3).</exception>
    public async Task<IReadOnlyList<WaitItem>> RunAsync(IReadOnlyList<string> names, WaitGoal goal, TimeSpan? limit, CancellationToken stop)
    {
        var start = context.Time.GetTimestamp();
        IReadOnlyList<WaitItem> last = [];
        while (true)
        {
            var run = project.TryLook(stop);
            if (run is null)
            {
                // Where everything has ended, what was waited for has, too.
                return last.Count > 0 && goal == WaitGoal.Ended ? last : throw Gone(last.Count > 0);
            }

            var view = StatusView.Of(run, names, context.Time.GetUtcNow(), Uptime.Now(), out var unknown);
            if (unknown is not null)
            {
                throw UnknownName.Error(unknown, run);
            }

            last = WaitJudgement.Of(view, goal);
            switch (WaitJudgement.Of(last))
            {
                case WaitVerdict.Met:
                    return last;
                case WaitVerdict.Hopeless:
                    var lost = last.Where(i => i.Verdict == WaitVerdict.Hopeless).ToList();
                    throw new CliError(ExitCode.ComponentFailed, "COMPONENT_FAILED", Tell(lost), $"loom logs {lost[0].Name}; loom start {lost[0].Name}");
            }

            if (context.Time.GetElapsedTime(start) >= limit)
            {
                var late = last.Where(i => i.Verdict == WaitVerdict.Pending).ToList();
                throw new CliError(ExitCode.TimedOut, "WAIT_TIMEOUT", $"not {(goal == WaitGoal.Ready ? "ready" : "ended")} within {limit.Value.TotalSeconds:0.#} s: {Tell(late)}", "loom status");
            }

            await Task.Delay(s_lookEvery, context.Time, stop).ConfigureAwait(false);
        }
    }

    private static string Tell(IEnumerable<WaitItem> items) => string.Join("; ", items.Select(i => $"{i.Name} is {i.State}{(i.Why is { } why ? ": " + why : "")}"));

    private CliError Gone(bool whileWaiting) =>
        whileWaiting ? new CliError(ExitCode.NotRunning, "NOT_RUNNING", "the runtime ended while it was waited for", "loom up") : project.NotRunning();
}
