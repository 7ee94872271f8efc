using System.ComponentModel;
using System.ComponentModel.DataAnnotations;

namespace Loom.Harness.Architecture.Chains;

internal enum RateScope
{
    Component,
    Key,
}

/// <summary>Settings of RateLimiter.</summary>
internal sealed record RateLimiterSettings
{
    [Description("Events admitted per second.")]
    [Range(0.001, 1_000_000_000)]
    public double Rate { get; init; } = 100;

    [Description("Events admitted at once after a pause.")]
    [Range(1, 1_000_000_000)]
    public int Burst { get; init; } = 200;

    [Description("Whether one limit holds for the component or one for each key.")]
    public RateScope Per { get; init; }

    [Description("Longest wait before an event is dead-lettered, in ms; unset = it waits as long as it takes.")]
    [Range(0, 86_400_000)]
    public TimeSpan? MaxWaitMs { get; init; }
}

/// <summary>Settings of Retry.</summary>
internal sealed record RetrySettings
{
    [Description("Attempts in total, the first included.")]
    [Range(1, 1000)]
    public int MaxAttempts { get; init; } = 3;

    [Description("Pause before the second attempt.")]
    [Range(0, 3600)]
    public TimeSpan Backoff { get; init; } = TimeSpan.FromSeconds(1);

    [Description("Factor by which each further pause grows.")]
    [Range(1, 10)]
    public double Multiplier { get; init; } = 2;

    [Description("Longest pause.")]
    [Range(0, 86_400)]
    public TimeSpan MaxBackoff { get; init; } = TimeSpan.FromSeconds(60);

    [Description("Part of a pause that chance adds or takes.")]
    [Range(0, 1)]
    public double Jitter { get; init; } = 0.1;
}

internal enum WhenOpen
{
    Wait,
    Fail,
}

/// <summary>Settings of CircuitBreaker.</summary>
internal sealed record CircuitBreakerSettings
{
    [Description("Failures in a row that open it.")]
    [Range(1, 1_000_000)]
    public int Failures { get; init; } = 5;

    [Description("Time it stays open before one event is tried.")]
    [Range(0.001, 86_400)]
    public TimeSpan OpenFor { get; init; } = TimeSpan.FromSeconds(60);

    [Description("What an event meets while it is open: wait, or fail at once; unset = wait, and fail for an APIEndpoint.")]
    public WhenOpen? WhenOpen { get; init; }
}

/// <summary>Settings of Timeout.</summary>
internal sealed record TimeoutSettings
{
    [Description("Time one attempt may take, in ms.")]
    [Range(1, 86_400_000)]
    public TimeSpan AttemptMs { get; init; } = TimeSpan.FromSeconds(30);
}

internal enum OnBudget
{
    Wait,
    DeadLetter,
}

/// <summary>Settings of LLMProvider.</summary>
internal sealed record LlmProviderSettings
{
    [Description("Name of an [llm.NAME] table; unset = the gateway.")]
    public string? Provider { get; init; }

    [Description("Model that is asked where the component names none.")]
    public string? Model { get; init; }

    [Description("Tokens the component may use in a run; unset = any number.")]
    [Range(1, long.MaxValue)]
    public long? BudgetTokens { get; init; }

    [Description("Price of a million tokens of questions, in whatever currency; with it the component counts what it costs, cost_total.")]
    [Range(0, 1e9)]
    public double? PromptPrice { get; init; }

    [Description("Price of a million tokens of answers.")]
    [Range(0, 1e9)]
    public double? CompletionPrice { get; init; }

    [Description("What happens when the budget is used up: wait (the component is paused, and resuming it grants as many tokens again) or dead_letter.")]
    public OnBudget OnBudget { get; init; }
}

/// <summary>Settings of Metrics.</summary>
internal sealed record MetricsSettings
{
    [Description("One event in this many is timed; batches always are.")]
    [Range(1, 1_000_000)]
    public int Sample { get; init; } = 64;
}

/// <summary>A capability without settings.</summary>
internal sealed record NoSettings;
