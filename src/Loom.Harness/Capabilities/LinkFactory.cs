using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Control;

namespace Loom.Harness.Capabilities;

/// <summary>Makes the links of one component from its plan, in the order of the plan, which is the lock's.</summary>
/// <param name="plan">The component.</param>
/// <param name="check">The check of its input schema for a payload type, or null when its port declares none.</param>
/// <param name="own">Makes a capability of the user's own.</param>
/// <param name="time">Clock of all waits.</param>
/// <param name="random">Chance of jitter.</param>
internal sealed class LinkFactory(ComponentPlan plan, ISchemaChecks check, Func<CapabilityPlan, Capability> own, TimeProvider time, Random random) : ILinkFactory
{
    private readonly Dictionary<string, LinkCounters> _counters = plan.Capabilities.ToDictionary(c => c.Name, _ => new LinkCounters(), StringComparer.Ordinal);

    private readonly TokenBudget? _budget = plan.Capabilities.Select(c => c.Options).OfType<LlmProviderSettings>().FirstOrDefault()?.BudgetTokens is { } tokens ? new TokenBudget(tokens) : null;

    /// <summary>What each capability has done, by name; kept across restarts.</summary>
    public IReadOnlyDictionary<string, LinkCounters> Counters => _counters;

    /// <summary>The breaker, where there is one.</summary>
    public Breaker? Breaker { get; } = plan.Capabilities.FirstOrDefault(c => c.Options is CircuitBreakerSettings)?.Options is CircuitBreakerSettings options
        ? new Breaker(options.Failures, options.OpenFor, time)
        : null;

    /// <summary>What a budget of tokens is held against.</summary>
    public TokenUse? Tokens { get; set; }

    /// <summary>The rate control sets; where nobody can, it costs nothing.</summary>
    public RateDial Rate { get; } = new();

    public IReadOnlyList<Link> Make<TIn>()
    {
        var links = new List<Link>();
        foreach (var capability in plan.Capabilities)
        {
            if (Make<TIn>(capability, _counters[capability.Name]) is { } link)
            {
                links.Add(link);
            }
        }

        return links;
    }

    private Link? Make<TIn>(CapabilityPlan capability, LinkCounters counters)
    {
        if (capability.Uses is not null)
        {
            return new OwnLink(capability.Name, own(capability), time, counters);
        }

        switch (capability.Options)
        {
            case RateLimiterSettings options:
                return capability.Declared || Rate.IsWanted ? new RateLimitLink(capability.Declared ? options : null, Rate, time, counters) : null;
            case LlmProviderSettings options:
                return _budget is not null && Tokens is not null ? new BudgetLink(options, _budget, Tokens, counters) : null;
            case RetrySettings options:
                return new RetryLink(options, time, random, counters);
            case CircuitBreakerSettings options:
                var fail = options.WhenOpen is { } asked ? asked == WhenOpen.Fail : plan.Type == ComponentType.ApiEndpoint;
                return new BreakerLink(Breaker!, fail, time, counters);
            case TimeoutSettings options:
                return new TimeoutLink(options.AttemptMs, time, counters);
            case MetricsSettings options:
                return new MetricsLink(options.Sample, time, counters);
            default:
                return capability.Name == StandardCapability.SchemaValidator.Name && check.Of<TIn>(plan) is { } schema ? new SchemaLink<TIn>(schema, counters) : null;
        }
    }
}

/// <summary>Finds the check of a component's input schema.</summary>
internal interface ISchemaChecks
{
    /// <summary>The error for a payload that does not fit; null when the port declares no schema.</summary>
    Func<TIn, ItemException?>? Of<TIn>(ComponentPlan plan);
}
