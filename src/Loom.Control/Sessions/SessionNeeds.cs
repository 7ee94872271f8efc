using Loom.Control.Catalog;

namespace Loom.Control.Sessions;

/// <summary>Guesses what a request may use, before it runs. Pure.</summary>
internal static class SessionNeeds
{
    // English text has about four bytes a token; what is certain is only that a token has one at least.
    private const int BytesPerToken = 4;

    /// <summary>Need of a request.</summary>
    /// <param name="promptBytes">Bytes of the prompt, with an allowance for what a chat template adds.</param>
    /// <param name="maxTokens">Limit of the answer; null = none, so that nobody knows the most it can use.</param>
    /// <param name="limit">Time the request may take; null = unlimited.</param>
    /// <param name="route">Where it may run.</param>
    /// <param name="prices">What that costs.</param>
    public static BudgetNeed Of(long promptBytes, long? maxTokens, TimeSpan? limit, ModelRoute route, PriceList prices)
    {
        var likely = Math.Max(1, promptBytes / BytesPerToken);
        var least = maxTokens ?? 1;
        return new BudgetNeed(
            likely + least,
            maxTokens is { } most ? promptBytes + most : null,
            limit is { } time ? (long)Math.Ceiling(time.TotalMilliseconds) : null,
            prices.Dearest(route, likely, least),
            maxTokens is { } dear ? prices.Dearest(route, promptBytes, dear) : prices.Dearest(route, 1, 1) == 0 ? 0 : null);
    }
}
