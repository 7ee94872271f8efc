namespace Loom.Node.Link;

/// <summary>When an agent speaks next: pure.</summary>
internal static class LinkPace
{
    private static readonly TimeSpan s_first = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(30);

    /// <summary>Pause until the next heartbeat: what the control plane asks for or the agent's own interval, whichever is shorter, varied by 10 % so that agents started
    /// together do not beat together.</summary>
    /// <param name="own">The agent's interval.</param>
    /// <param name="asked">The control plane's, milliseconds.</param>
    /// <param name="chance">0 to 1.</param>
    public static TimeSpan Next(TimeSpan own, int asked, double chance)
    {
        var wish = TimeSpan.FromMilliseconds(Math.Clamp(asked, 100, 3_600_000));
        return (own < wish ? own : wish) * (0.9 + (0.2 * chance));
    }

    /// <summary>Pause after so many failures in a row: 1 s, doubling to 30 s.</summary>
    public static TimeSpan Backoff(int failures) =>
        failures > 5 ? s_longest : TimeSpan.FromTicks(Math.Min(s_longest.Ticks, s_first.Ticks << (Math.Max(1, failures) - 1)));
}
