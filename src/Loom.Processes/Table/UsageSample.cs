namespace Loom.Processes.Table;

/// <summary>
/// What groups of processes use. One look at the system serves all questions of the next tenth of a second, so that asking for each of a hundred processes
/// costs one scan; nobody asks, nothing is read. For any thread.
/// </summary>
internal sealed class UsageSample(TimeProvider time)
{
    private static readonly TimeSpan s_fresh = TimeSpan.FromMilliseconds(100);

    // USER_HZ: 100 on every architecture .NET runs on.
    private const long TicksPerSecond = 100;

    private readonly Lock _gate = new();
    private ProcessTable? _table;
    private long _takenAt;

    /// <summary>What the child and everything in its session or group use; null when it has gone.</summary>
    internal ProcessUsage? Of(ProcessIdentity leader)
    {
        var table = Fresh();
        return table?.Find(leader.Pid)?.StartTicks == leader.StartTicks ? Sum(table.Entries.Where(e => e.Session == leader.Pid || e.Group == leader.Pid)) : null;
    }

    internal static ProcessUsage Sum(IEnumerable<ProcessEntry> entries)
    {
        var (ticks, pages, count) = (0L, 0L, 0);
        foreach (var entry in entries.Where(e => e.Alive))
        {
            ticks += entry.CpuTicks;
            pages += entry.ResidentPages;
            count++;
        }

        return new ProcessUsage(TimeSpan.FromTicks(ticks * (TimeSpan.TicksPerSecond / TicksPerSecond)), pages * Environment.SystemPageSize, count);
    }

    private ProcessTable? Fresh()
    {
        lock (_gate)
        {
            if (_table is null || time.GetElapsedTime(_takenAt) > s_fresh)
            {
                try
                {
                    _table = ProcessTable.Read();
                    _takenAt = time.GetTimestamp();
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    return null; // out of descriptors: unknown now, known again shortly
                }
            }

            return _table;
        }
    }
}
