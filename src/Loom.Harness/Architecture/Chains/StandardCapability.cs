namespace Loom.Harness.Architecture.Chains;

/// <summary>A capability of the harness: its place in the chain and its settings.</summary>
/// <param name="Name">How <c>capabilities</c> names it.</param>
/// <param name="Tier">Lower is further out.</param>
/// <param name="Kernel">Always there, and never switched off.</param>
/// <param name="Options">Record of its settings.</param>
/// <param name="Around">Whether it wraps the handler, which a class with a loop of its own must allow.</param>
/// <param name="Objects">What happens when it objects, in one line.</param>
internal sealed record StandardCapability(string Name, int Tier, bool Kernel, Type Options, bool Around, string Objects)
{
    public static StandardCapability SchemaValidator { get; } = new("SchemaValidator", 10, true, typeof(NoSettings), false, "the event goes to the dead letter as schema_invalid");

    public static StandardCapability RateLimiter { get; } = new("RateLimiter", 20, true, typeof(RateLimiterSettings), false, "the event waits; past max_wait_ms it goes to the dead letter");

    public static StandardCapability Batched { get; } = new("Batched", 25, true, typeof(NoSettings), false, "");

    public static StandardCapability State { get; } = new("State", 30, false, typeof(NoSettings), false, "");

    public static StandardCapability LlmProvider { get; } = new("LLMProvider", 35, false, typeof(LlmProviderSettings), false, "with its budget used up events wait, or go to the dead letter");

    public static StandardCapability Retry { get; } = new("Retry", 40, false, typeof(RetrySettings), true, "the last error stands");

    public static StandardCapability CircuitBreaker { get; } = new("CircuitBreaker", 50, false, typeof(CircuitBreakerSettings), true, "events wait and the input backs up, or fail at once");

    public static StandardCapability Timeout { get; } = new("Timeout", 60, false, typeof(TimeoutSettings), true, "transient timeout; the handler's token is cancelled");

    public static StandardCapability Metrics { get; } = new("Metrics", 90, true, typeof(MetricsSettings), false, "");

    /// <summary>By tier.</summary>
    public static IReadOnlyList<StandardCapability> All { get; } = [SchemaValidator, RateLimiter, Batched, State, LlmProvider, Retry, CircuitBreaker, Timeout, Metrics];
}
