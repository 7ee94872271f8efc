namespace Loom.Control.Sessions;

/// <summary>Amounts of what a session can use up.</summary>
/// <param name="Tokens">Prompt and completion tokens.</param>
/// <param name="Ms">Milliseconds an engine worked.</param>
/// <param name="Cost">Money, in the currency of the prices.</param>
internal readonly record struct Spending(long Tokens, long Ms, double Cost)
{
    public static Spending operator +(Spending a, Spending b) => new(a.Tokens + b.Tokens, a.Ms + b.Ms, a.Cost + b.Cost);

    public static Spending operator -(Spending a, Spending b) => new(a.Tokens - b.Tokens, a.Ms - b.Ms, a.Cost - b.Cost);
}

/// <summary>What a session may use in all; null = without limit.</summary>
internal sealed record Limits(long? Tokens, long? Ms, double? Cost)
{
    public static Limits None { get; } = new(null, null, null);
}

/// <summary>What one request may need.</summary>
/// <param name="LikelyTokens">Tokens it will probably use.</param>
/// <param name="MostTokens">Tokens it cannot exceed; null = nobody knows.</param>
/// <param name="MostMs">Milliseconds it cannot exceed; null = nobody knows.</param>
/// <param name="LikelyCost">What it will probably cost.</param>
/// <param name="MostCost">What it cannot exceed; null = nobody knows.</param>
internal readonly record struct BudgetNeed(long LikelyTokens, long? MostTokens, long? MostMs, double LikelyCost, double? MostCost);

/// <summary>
/// Counts one session's spending: a request reserves the most it can use before it begins and settles what it used when it ends, so that requests in
/// parallel cannot spend the same amount twice. Pure state; its owner locks.
/// </summary>
internal sealed class Budget
{
    private Spending _spent;
    private Spending _reserved;

    /// <summary>The limits; may be changed at any time.</summary>
    public Limits Limits { get; set; } = Limits.None;

    /// <summary>What is left of tokens, reservations not counted; null = no limit.</summary>
    public long? TokensLeft => Limits.Tokens is { } limit ? Math.Max(0, limit - _spent.Tokens) : null;

    /// <summary>What is left of time, in milliseconds.</summary>
    public long? MsLeft => Limits.Ms is { } limit ? Math.Max(0, limit - _spent.Ms) : null;

    /// <summary>What is left of cost.</summary>
    public double? CostLeft => Limits.Cost is { } limit ? Math.Max(0, limit - _spent.Cost) : null;

    /// <summary>
    /// Reserves for a request whose likely need fits: the most it can use, or all that is free where that is less or unknown. So the one request that may go
    /// beyond its guess keeps all others out until it has settled.
    /// </summary>
    /// <returns>Null when it was reserved; else which budget is too small, in words.</returns>
    public string? TryReserve(BudgetNeed need, out Spending reserved)
    {
        reserved = default;
        var tokens = 0L;
        if (Limits.Tokens is { } tokenLimit)
        {
            var free = tokenLimit - _spent.Tokens - _reserved.Tokens;
            if (free < Math.Max(1, need.LikelyTokens))
            {
                return $"token budget: {Math.Max(0, free)} of {tokenLimit} are free{Held(_reserved.Tokens)}, about {need.LikelyTokens} are needed";
            }

            tokens = Math.Min(free, need.MostTokens ?? free);
        }

        var ms = 0L;
        if (Limits.Ms is { } timeLimit)
        {
            var free = timeLimit - _spent.Ms - _reserved.Ms;
            if (free <= 0)
            {
                return $"time budget: {Math.Max(0, timeLimit - _spent.Ms)} of {timeLimit} ms are left{Held(_reserved.Ms)}";
            }

            ms = Math.Min(free, need.MostMs ?? free);
        }

        var cost = 0d;
        if (Limits.Cost is { } costLimit)
        {
            var free = costLimit - _spent.Cost - _reserved.Cost;
            if (free < need.LikelyCost || (free <= 0 && need.MostCost != 0))
            {
                return FormattableString.Invariant($"cost budget: {Math.Max(0, free):0.######} of {costLimit:0.######} are free, about {need.LikelyCost:0.######} are needed");
            }

            cost = Math.Min(Math.Max(0, free), need.MostCost ?? free);
        }

        reserved = new Spending(tokens, ms, cost);
        _reserved += reserved;
        return null;
    }

    /// <summary>Puts what was used in the place of what was reserved.</summary>
    public void Settle(Spending reserved, Spending used)
    {
        _reserved -= reserved;
        _spent += used;
    }

    private static string Held(long reserved) => reserved > 0 ? $" ({reserved} more are reserved by requests that run)" : "";
}
