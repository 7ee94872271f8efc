using Loom.Components;
using Loom.Harness.Execution.Scheduling;

namespace Loom.Harness.Capabilities;

/// <summary>Makes a component's chain: links in the order of the lock, then the component itself.</summary>
/// <param name="links">Makes fresh links for a payload type, outermost first.</param>
/// <param name="lane">Where the component runs under the deterministic scheduler; null: on the pool.</param>
internal sealed class ChainBuilder(ILinkFactory links, Lane? lane = null)
{
    public Link Build<TIn, TOut>(ItemComponent<TIn, TOut> component)
    {
        var chain = Build<TIn>(new HandlerLink<TIn, TOut>(component));
        return lane is null ? chain : new TurnLink<TIn, TOut>(lane, component) { Next = chain };
    }

    /// <summary>The chain around any end.</summary>
    public Link Build<TIn>(Link end)
    {
        var chain = end;
        foreach (var link in links.Make<TIn>().Reverse())
        {
            link.Next = chain;
            chain = link;
        }

        return chain;
    }
}

/// <summary>Makes the links of one component's capabilities.</summary>
internal interface ILinkFactory
{
    /// <summary>Outermost first; a capability that has nothing to do for this component gives no link.</summary>
    IReadOnlyList<Link> Make<TIn>();
}
