using System.Runtime.CompilerServices;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Capabilities;

/// <summary>What a capability of one component has done; read from anywhere.</summary>
internal sealed class LinkCounters
{
    private long _calls;
    private long _failures;
    private long _waits;

    public long Calls => Volatile.Read(ref _calls);

    public long Failures => Volatile.Read(ref _failures);

    public long Waits => Volatile.Read(ref _waits);

    /// <summary>Time it held events up; for the innermost, and for attempts that waited for something, the time of the attempt.</summary>
    public LatencyHistogram Seconds { get; } = new();

    /// <summary>Events in each batch, where it is measured.</summary>
    public SizeCounts Sizes { get; } = new();

    // One writer for a component that handles one event at a time; with several an increment may be lost, never a verdict.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Called() => _calls++;

    public void Failed(int by = 1) => Interlocked.Add(ref _failures, by);

    public void Waited() => Interlocked.Increment(ref _waits);
}
