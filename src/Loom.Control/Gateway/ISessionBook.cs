using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Control.Gateway;

/// <summary>What is left of a session's budgets; null = no budget.</summary>
/// <param name="Tokens">Tokens.</param>
/// <param name="TimeMs">Milliseconds of work.</param>
/// <param name="Cost">Money, in the unit of the prices.</param>
internal readonly record struct BudgetLeft(long? Tokens, long? TimeMs, decimal? Cost);

/// <summary>One request as a turn of its session. Ended exactly once, also when the request failed or never ran.</summary>
internal interface ISessionTurn
{
    /// <summary>The replica of the last turn; null = there was none.</summary>
    ReplicaId? LastReplica { get; }

    /// <summary>What is left now.</summary>
    BudgetLeft Left { get; }

    /// <summary>The turn is over.</summary>
    /// <param name="replica">Where it ran; null = nowhere.</param>
    /// <param name="usage">Tokens it took.</param>
    /// <param name="took">How long it held a slot.</param>
    void End(ReplicaId? replica, TokenUsage usage, TimeSpan took);
}

/// <summary>What the gateway asks of the sessions.</summary>
internal interface ISessionBook
{
    /// <summary>A request begins a turn. A session that is not there yet is made.</summary>
    /// <param name="id">The session, as the caller names it.</param>
    /// <param name="caller">Whose it is; a session of somebody else is not found.</param>
    /// <param name="turn">The turn, when there is no problem.</param>
    /// <returns>Why it may not: a budget is used up, or the session is somebody else's.</returns>
    Problem? Begin(string id, Caller caller, out ISessionTurn? turn);
}

/// <summary>For a control plane that keeps no sessions: the header says nothing.</summary>
internal sealed class NoSessions : ISessionBook
{
    public Problem? Begin(string id, Caller caller, out ISessionTurn? turn)
    {
        turn = null;
        return null;
    }
}
