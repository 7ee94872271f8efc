using Loom.Harness.Architecture;

namespace Loom.Harness.Commands;

/// <summary>Counts restarts against <c>restart {attempts, within_s, backoff}</c>. Pure over the time it is told.</summary>
internal sealed class RestartBudget(RestartPlan plan)
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(10);

    private readonly Queue<DateTimeOffset> _recent = new();

    /// <summary>Takes one restart: how long to wait before it, or null when there is none left.</summary>
    public TimeSpan? Take(DateTimeOffset now)
    {
        while (_recent.TryPeek(out var oldest) && now - oldest > plan.Within)
        {
            _recent.Dequeue();
        }

        if (_recent.Count >= plan.Attempts)
        {
            return null;
        }

        var delay = plan.Backoff * Math.Pow(2, _recent.Count);
        _recent.Enqueue(now);
        return delay < s_longest ? delay : s_longest;
    }
}
