using Loom.Components;
using Loom.Harness.Architecture.Chains;

namespace Loom.Harness.Capabilities;

/// <summary>What a model's component has used, and how its loop is held.</summary>
/// <param name="Used">Tokens so far: its counters <c>prompt_tokens</c> and <c>completion_tokens</c>.</param>
/// <param name="Releases">How often the component was let go on.</param>
internal sealed record TokenUse(Func<long> Used, Func<long> Releases);

/// <summary>
/// LLMProvider's budget: once the component has used its tokens, events go to the dead letter, or the component is held with its event in hand and whoever lets it go on grants the budget once more.
/// What is in work when the budget runs out is finished, so a few answers more may be used.
/// </summary>
internal sealed class BudgetLink(LlmProviderSettings options, TokenUse use, LinkCounters counters) : Link("LLMProvider")
{
    private readonly Lock _lock = new();
    private long _granted = options.BudgetTokens!.Value;
    private long? _heldSince;

    public override ValueTask InvokeAsync(Call call)
    {
        lock (_lock)
        {
            if (use.Used() >= _granted && !IsGranted())
            {
                counters.Failed();
                throw options.OnBudget == OnBudget.DeadLetter
                    ? new ItemException("budget_exhausted", Why)
                    : new ItemException("budget_exhausted", $"{Why}; resuming the component grants as many again", ErrorClass.Configuration);
            }
        }

        return Next.InvokeAsync(call);
    }

    private string Why => $"the budget of {options.BudgetTokens} tokens is used up";

    // A failure of configuration holds the component; a call that finds that it was let go on since may use as much again.
    private bool IsGranted()
    {
        if (options.OnBudget == OnBudget.DeadLetter)
        {
            return false;
        }

        if (_heldSince is { } since && use.Releases() > since)
        {
            _heldSince = null;
            _granted = use.Used() + options.BudgetTokens!.Value;
            return true;
        }

        _heldSince ??= use.Releases();
        return false;
    }
}
