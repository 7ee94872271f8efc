namespace Loom.Harness.Errors;

/// <summary>What makes errors equal for the log.</summary>
internal readonly record struct ErrorKind(string Component, string? Capability, string Code);

/// <summary>Decides which of many equal errors is said: the first at once, the rest as a count when ten seconds are over. Pure over the time it is told; not safe for two threads.</summary>
internal sealed class ErrorTally
{
    /// <summary>Time in which equal errors are said once.</summary>
    public static readonly TimeSpan Window = TimeSpan.FromSeconds(10);

    private readonly Dictionary<ErrorKind, Open> _open = [];

    /// <summary>Whether anything waits to be said.</summary>
    public bool IsEmpty => _open.Count == 0;

    /// <summary>Counts one; true when it is to be said now.</summary>
    public bool Add(ErrorKind kind, DateTimeOffset now)
    {
        if (_open.TryGetValue(kind, out var open) && now < open.Until)
        {
            open.More++;
            return false;
        }

        _open[kind] = new Open { Until = now + Window, More = 0 };
        return true;
    }

    /// <summary>Takes what is over: kinds that repeated, with how often. One that repeated stays open, so that it is said once a window and not twice.</summary>
    public IReadOnlyList<(ErrorKind Kind, long More)> Take(DateTimeOffset now)
    {
        var said = new List<(ErrorKind, long)>();
        foreach (var (kind, open) in _open.Where(o => o.Value.Until <= now).ToList())
        {
            if (open.More == 0)
            {
                _open.Remove(kind);
                continue;
            }

            said.Add((kind, open.More));
            _open[kind] = new Open { Until = now + Window, More = 0 };
        }

        return said;
    }

    private sealed class Open
    {
        public required DateTimeOffset Until { get; init; }

        public long More { get; set; }
    }
}
