using Loom.Components;
using Loom.Harness.Architecture.Chains;

namespace Loom.Harness.Capabilities;

/// <summary>What a model's component has used, and how its loop is held.</summary>
/// <param name="Used">Tokens so far: its counters <c>prompt_tokens</c> and <c>completion_tokens</c>.</param>
/// <param name="Releases">How often the component was let go on.</param>
internal sealed record TokenUse(Func<long> Used, Func<long> Releases);

/// <summary>What a component may use, and whether it is held for having used it. One for each component, kept when it is set up again.</summary>
/// <param name="tokens">The budget.</param>
internal sealed class TokenBudget(long tokens)
{
    private readonly Lock _lock = new();
    private readonly long _each = tokens;
    private long _granted = tokens;
    private long? _heldSince;

    /// <summary>Whether nothing may be asked now.</summary>
    /// <param name="use">What was used, and how the component is held.</param>
    /// <param name="grantsAgain">Being let go on grants as much again.</param>
    public bool IsUsedUp(TokenUse use, bool grantsAgain)
    {
        lock (_lock)
        {
            return use.Used() >= _granted && !(grantsAgain && IsGranted(use));
        }
    }

    // A call that finds that the component was held and let go on since may use as much again.
    private bool IsGranted(TokenUse use)
    {
        if (_heldSince is { } since && use.Releases() > since)
        {
            _heldSince = null;
            _granted = use.Used() + _each;
            return true;
        }

        _heldSince ??= use.Releases();
        return false;
    }
}

/// <summary>
/// LLMProvider's budget: once the component has used its tokens, events go to the dead letter, or the component is held with its event in hand and whoever lets it go on grants the budget once more.
/// What is in work when the budget runs out is finished, so a few answers more may be used.
/// </summary>
internal sealed class BudgetLink(LlmProviderSettings options, TokenBudget budget, TokenUse use, LinkCounters counters) : Link("LLMProvider")
{
    public override ValueTask InvokeAsync(Call call)
    {
        if (!budget.IsUsedUp(use, grantsAgain: options.OnBudget != OnBudget.DeadLetter))
        {
            return Next.InvokeAsync(call);
        }

        counters.Failed();
        var why = $"the budget of {options.BudgetTokens} tokens is used up";
        throw options.OnBudget == OnBudget.DeadLetter
            ? new ItemException("budget_exhausted", why)
            : new ItemException("budget_exhausted", $"{why}; resuming the component grants as many again", ErrorClass.Configuration);
    }
}
