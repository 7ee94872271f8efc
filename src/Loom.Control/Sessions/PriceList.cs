using System.Collections.Immutable;
using Loom.Control.Catalog;

namespace Loom.Control.Sessions;

/// <summary>Price of a provider's tokens, per million.</summary>
/// <param name="Prompt">Of the prompt.</param>
/// <param name="Completion">Of the answer.</param>
public sealed record Price(double Prompt, double Completion);

/// <summary>What answers cost, by pool. A pool without a price is local and costs nothing.</summary>
internal sealed class PriceList(ImmutableDictionary<string, Price> byPool)
{
    private const double PerMillion = 1_000_000;

    /// <summary>What an answer of a pool cost.</summary>
    public double Of(string poolId, long prompt, long completion) =>
        byPool.TryGetValue(poolId, out var price) ? ((price.Prompt * prompt) + (price.Completion * completion)) / PerMillion : 0;

    /// <summary>What an answer of the dearest pool of a route would cost.</summary>
    public double Dearest(ModelRoute route, long prompt, long completion)
    {
        var dearest = 0d;
        foreach (var replica in route.Offering)
        {
            dearest = Math.Max(dearest, Of(replica.Status.Id.PoolId, prompt, completion));
        }

        return dearest;
    }
}
