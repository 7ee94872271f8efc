using System.Globalization;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Sessions;

/// <summary>One request of a session, from its reservation to its settlement. Settled exactly once; disposal settles with nothing used.</summary>
internal sealed class SessionTurn : IDisposable
{
    private readonly SessionTable _table;
    private readonly Session _session;
    private readonly Spending _reserved;
    private readonly bool _timeLimited;
    private int _settled;

    internal SessionTurn(SessionTable table, Session session, Spending reserved, bool timeLimited)
    {
        _table = table;
        _session = session;
        _reserved = reserved;
        _timeLimited = timeLimited;
    }

    /// <summary>Replica of the last turn; null before the first.</summary>
    public ReplicaId? LastReplica => _table.LastOf(_session);

    /// <summary>Engine time that was reserved; null = the session had no time budget when the request began.</summary>
    public TimeSpan? TimeLimit => !_timeLimited ? null : TimeSpan.FromMilliseconds(_reserved.Ms);

    /// <summary>How the session is now.</summary>
    public SessionView View => _table.View(_session);

    /// <summary>Tells what is left of the budgets: before this request, since its own share is known only at its end.</summary>
    public void Describe(IHeaderDictionary headers)
    {
        var view = View;
        Set(headers, "X-Budget-Tokens-Remaining", view.TokensBudgetRemaining?.ToString(CultureInfo.InvariantCulture));
        Set(headers, "X-Budget-Time-Remaining-Ms", view.TimeBudgetRemainingMs?.ToString(CultureInfo.InvariantCulture));
        Set(headers, "X-Budget-Cost-Remaining", view.CostBudgetRemaining?.ToString("0.######", CultureInfo.InvariantCulture));
    }

    /// <summary>Says where the request is answered, before the client has its answer: it may begin the next turn the moment it has it.</summary>
    public void AnswersAt(ReplicaId replica) => _table.AnswersAt(_session, replica);

    /// <summary>Books what the request used.</summary>
    /// <param name="replica">Where it ran; null = nowhere.</param>
    /// <param name="prompt">Tokens of the prompt.</param>
    /// <param name="cached">How many of them the engine still had.</param>
    /// <param name="completion">Tokens generated.</param>
    /// <param name="engineTime">How long the engine worked.</param>
    public void Settle(ReplicaId? replica, long prompt, long cached, long completion, TimeSpan engineTime)
    {
        if (Interlocked.Exchange(ref _settled, 1) != 0)
        {
            return;
        }

        var cost = replica is { } id ? _table.Prices.Of(id.PoolId, prompt, completion) : 0;
        var used = new Spending(prompt + completion, (long)Math.Ceiling(engineTime.TotalMilliseconds), cost);
        _table.Settle(_session, _reserved, used, replica, prompt > 0 ? Math.Clamp(cached / (double)prompt, 0, 1) : null);
    }

    public void Dispose() => Settle(null, 0, 0, 0, TimeSpan.Zero);

    private static void Set(IHeaderDictionary headers, string name, string? value)
    {
        if (value is not null)
        {
            headers[name] = value;
        }
    }
}
