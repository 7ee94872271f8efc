using Loom.Harness.Architecture.Chains;
using Loom.Harness.Execution;

namespace Loom.Harness.Capabilities;

/// <summary>What one capability of a component has done, as it is shown.</summary>
/// <param name="Capability">Its name.</param>
/// <param name="Calls">Events or batches it saw, each attempt for those inside of Retry.</param>
/// <param name="Failures">Calls it refused or saw fail.</param>
/// <param name="Waits">Calls it made wait.</param>
/// <param name="Seconds">How long what it times took.</param>
internal sealed record CapabilityCounts(string Capability, long Calls, long Failures, long Waits, Telemetry.LatencyHistogram Seconds)
{
    /// <summary>
    /// Counts of every capability. Only the innermost link counts calls, so that the others cost nothing on the way of an event that passes: what reached them follows from
    /// it, from the attempts Retry added and from what each refused before it got further.
    /// </summary>
    public static IEnumerable<CapabilityCounts> Of(LinkFactory links, ComponentCounters component)
    {
        var reached = links.Counters.GetValueOrDefault(StandardCapability.Metrics.Name)?.Calls ?? 0;
        var again = links.Counters.GetValueOrDefault(StandardCapability.Retry.Name)?.Waits ?? 0;
        foreach (var (name, counters) in links.Counters)
        {
            var attempts = name == StandardCapability.CircuitBreaker.Name || name == StandardCapability.Timeout.Name || name == StandardCapability.Metrics.Name;
            var failures = name == StandardCapability.Metrics.Name ? Math.Min(reached, component.Failed + again) : counters.Failures;
            var stopped = name == StandardCapability.SchemaValidator.Name || name == StandardCapability.RateLimiter.Name ? failures : 0;
            var calls = attempts ? reached : Math.Max(reached - again + stopped, counters.Calls);
            yield return new CapabilityCounts(name, calls, Math.Min(calls, failures), counters.Waits, counters.Seconds);
        }
    }
}
