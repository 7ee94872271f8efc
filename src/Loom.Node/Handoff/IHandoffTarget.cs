using Loom.Wire;

namespace Loom.Node.Handoff;

/// <summary>Who takes engines over: the node. All calls return at once or soon; the work of a start goes on behind them.</summary>
public interface IHandoffTarget
{
    /// <summary>What documents are judged by.</summary>
    HandoffSurroundings Surroundings { get; }

    /// <summary>Takes over what a document describes, or what it describes now.</summary>
    /// <returns>False when the pool is busy with something else: ask again at the next scan.</returns>
    bool Take(HandoffDocument document);

    /// <summary>Whether the engine of a document that was taken answers.</summary>
    bool IsReady(HandoffDocument document);
}
