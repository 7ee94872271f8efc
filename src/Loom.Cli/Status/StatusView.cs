namespace Loom.Cli.Status;

/// <summary>What one <c>loom status</c> shows: the run, of it the rows asked for, at one moment.</summary>
internal sealed record StatusView
{
    public required RunView Run { get; init; }

    /// <summary>Pools shown.</summary>
    public required IReadOnlyList<PoolView> Pools { get; init; }

    /// <summary>Dataflow systems shown.</summary>
    public IReadOnlyList<SystemView> Systems { get; init; } = [];

    /// <summary>Processes shown.</summary>
    public required IReadOnlyList<ProcessView> Processes { get; init; }

    /// <summary>True when only some were asked for by name.</summary>
    public bool Chosen { get; init; }

    public required DateTimeOffset Now { get; init; }

    public required Uptime Uptime { get; init; }

    /// <summary>The look before this one, for what a process uses now instead of over its whole life; null = this is the first.</summary>
    public StatusView? Before { get; init; }

    /// <summary>Whether everything shown is as it should be; for the whole project also whether the start is over.</summary>
    public bool IsWell => (Chosen || Run.Ready) && Pools.All(p => p.IsWell) && Systems.All(s => s.IsWell) && Processes.All(p => p.IsWell);

    /// <summary>The rows of <paramref name="names"/>; none = all.</summary>
    /// <param name="run">The run.</param>
    /// <param name="names">Processes, agents with all their replicas, pools or their replicas.</param>
    /// <param name="now">Clock.</param>
    /// <param name="uptime">Clock of processes.</param>
    /// <param name="unknown">The first name that means nothing here; null = all mean something.</param>
    public static StatusView Of(RunView run, IReadOnlyList<string> names, DateTimeOffset now, Uptime uptime, out string? unknown)
    {
        unknown = null;
        foreach (var name in names)
        {
            if (!run.Processes.Any(p => p.Answers(name)) && !run.Pools.Any(p => Answers(p, name)) && run.Systems.All(s => s.Name != name))
            {
                unknown = name;
                break;
            }
        }

        return new StatusView
        {
            Run = run,
            Pools = names.Count == 0 ? run.Pools : [.. run.Pools.Where(p => names.Any(n => Answers(p, n)))],
            Systems = names.Count == 0 ? run.Systems : [.. run.Systems.Where(s => names.Contains(s.Name, StringComparer.Ordinal))],
            Processes = names.Count == 0 ? run.Processes : [.. run.Processes.Where(p => names.Any(n => Meant(run, n).Contains(p)))],
            Chosen = names.Count > 0,
            Now = now,
            Uptime = uptime,
        };
    }

    /// <summary>The processes a name means: the one that bears it, else all replicas of the agent. An agent <c>w-2</c> is no replica of an agent <c>w</c>.</summary>
    public static IEnumerable<ProcessView> Meant(RunView run, string name) =>
        run.Processes.Any(p => p.Name == name) ? run.Processes.Where(p => p.Name == name) : run.Processes.Where(p => p.Answers(name));

    /// <summary>How long a process has been running; null when it does not.</summary>
    public TimeSpan? AgeOf(ProcessView process) => process is { Pid: not null, StartTicks: { } ticks } ? Uptime.Of(ticks) : null;

    /// <summary>Processor use in percent of one core: since the look before, or over its life; null when unknown.</summary>
    public double? CpuPercentOf(ProcessView process)
    {
        if (process.CpuMs is not { } used || AgeOf(process) is not { } age)
        {
            return null;
        }

        var earlier = Before?.Processes.FirstOrDefault(p => p.Pid == process.Pid && p.StartTicks == process.StartTicks && p.CpuMs is not null);
        var (spent, span) = earlier is null ? (used, age) : (used - earlier.CpuMs!.Value, Uptime.SinceBoot - Before!.Uptime.SinceBoot);
        return span.TotalMilliseconds < 10 ? null : Math.Max(0, spent) / span.TotalMilliseconds * 100;
    }

    private static bool Answers(PoolView pool, string name) =>
        string.Equals(pool.Pool, name, StringComparison.Ordinal) || string.Equals(pool.Name, name, StringComparison.Ordinal);
}
