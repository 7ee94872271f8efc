using Loom.Control.Placement;
using Loom.Core.Queues;

namespace Loom.Control.Admission;

/// <summary>Settings of admission and placement.</summary>
public sealed record AdmissionOptions
{
    /// <summary>Requests that may wait, both classes together: 1 to 10000, default 100 (<c>serving.admission.capacity</c>).</summary>
    public int Capacity { get; init; } = 100;

    /// <summary>What a full queue does, default drop-lru (<c>serving.admission.policy</c>).</summary>
    public OverflowPolicy Policy { get; init; } = OverflowPolicy.DropLru;

    /// <summary>A batch request that has waited this long competes as interactive; zero = never; default 300 s (<c>serving.admission.batch_max_wait_secs</c>).</summary>
    public TimeSpan BatchMaxWait { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>The placement strategy, default round-robin (<c>serving.placement.strategy</c>).</summary>
    public PlacementKind Strategy { get; init; }

    /// <summary>Total attempts of one request, each on another replica: 1 to 5, default 2 (<c>serving.dispatch_attempts</c>).</summary>
    public int DispatchAttempts { get; init; } = 2;

    /// <summary>The policy's name in the configuration.</summary>
    public string PolicyName => Policy == OverflowPolicy.DropLru ? "drop-lru" : "reject-new";
}
