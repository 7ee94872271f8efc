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

    /// <summary>Time spent in it and everything of higher tiers, where it is measured.</summary>
    public LatencyHistogram Seconds { get; } = new();

    // One writer for a component that handles one event at a time; with several an increment may be lost, never a verdict.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Called() => _calls++;

    public void Failed() => Interlocked.Increment(ref _failures);

    public void Waited() => Interlocked.Increment(ref _waits);
}
