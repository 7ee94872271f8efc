using System.Diagnostics.CodeAnalysis;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Control.Sessions;

/// <summary>
/// The sessions: who they belong to, how long they live unused, and what is left of their budgets. Every method is a short step under one lock. Bounded: beyond
/// <see cref="Most"/> the session without a budget that was unused for longest is forgotten.
/// </summary>
internal sealed class SessionTable(PriceList prices, TimeProvider time)
{
    /// <summary>Sessions kept.</summary>
    public const int Most = 10_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Owner, string Id), Session> _sessions = [];

    /// <summary>How long a session lives unused when its client does not say, 10 min.</summary>
    public static TimeSpan DefaultTtl { get; } = TimeSpan.FromMinutes(10);

    /// <summary>What answers cost.</summary>
    public PriceList Prices => prices;

    /// <summary>Begins one request of a session, which is made where there is none.</summary>
    /// <param name="owner">Name of the caller.</param>
    /// <param name="id">Session.</param>
    /// <param name="need">What the request may use.</param>
    /// <exception cref="ProblemException">429: a budget is used up.</exception>
    public SessionTurn Begin(string owner, string id, BudgetNeed need)
    {
        lock (_gate)
        {
            var session = GetOrMake(owner, id);
            if (session.Budget.TryReserve(need, out var reserved) is { } lacking)
            {
                throw new ProblemException(new Problem(
                    ProblemCode.BudgetExhausted, $"session '{id}' has too little left of its {lacking}; raise it with PUT /v2/sessions/{id}, or begin another session"));
            }

            session.Running++;
            session.TouchedAt = time.GetTimestamp();
            return new SessionTurn(this, session, reserved, session.Budget.Limits.Ms is not null);
        }
    }

    /// <summary>Sets time to live and budgets; null keeps what is there. What was spent stays spent.</summary>
    public SessionView Put(Caller caller, string id, TimeSpan? ttl, Limits? limits)
    {
        lock (_gate)
        {
            var session = TryFind(caller, id, out var known) ? known : GetOrMake(caller.Name, id);
            session.Ttl = ttl ?? session.Ttl;
            session.Budget.Limits = limits ?? session.Budget.Limits;
            session.TouchedAt = time.GetTimestamp();
            return ViewOf(session);
        }
    }

    /// <summary>A session the caller may see, or null.</summary>
    public SessionView? Find(Caller caller, string id)
    {
        lock (_gate)
        {
            return TryFind(caller, id, out var session) ? ViewOf(session) : null;
        }
    }

    /// <summary>What is left of a session's budgets, by the caller that owns it.</summary>
    public SessionView? Find(string owner, string id)
    {
        lock (_gate)
        {
            return _sessions.TryGetValue((owner, id), out var session) ? ViewOf(session) : null;
        }
    }

    /// <summary>All sessions the caller may see, by id.</summary>
    public IReadOnlyList<SessionView> List(Caller caller)
    {
        lock (_gate)
        {
            Expire();
            return [.. _sessions.Values.Where(s => caller.Sees(s.Owner)).OrderBy(s => s.Id, StringComparer.Ordinal).Select(ViewOf)];
        }
    }

    /// <summary>Forgets a session. False when the caller sees none of that id.</summary>
    public bool Delete(Caller caller, string id)
    {
        lock (_gate)
        {
            if (!TryFind(caller, id, out var session))
            {
                return false;
            }

            session.Deleted = true;
            return _sessions.Remove((session.Owner, session.Id));
        }
    }

    internal SessionView View(Session session)
    {
        lock (_gate)
        {
            return ViewOf(session);
        }
    }

    internal ReplicaId? LastOf(Session session)
    {
        lock (_gate)
        {
            return session.Last;
        }
    }

    internal void AnswersAt(Session session, ReplicaId replica)
    {
        lock (_gate)
        {
            session.Last = replica;
        }
    }

    internal void Settle(Session session, Spending reserved, Spending used, ReplicaId? replica, double? warmth)
    {
        lock (_gate)
        {
            session.Budget.Settle(reserved, used);
            session.Running--;
            session.TouchedAt = time.GetTimestamp();
            if (replica is not null)
            {
                session.Turns++;
                session.Last = replica;
                session.Warmth = warmth ?? session.Warmth;
            }
        }
    }

    private bool TryFind(Caller caller, string id, [NotNullWhen(true)] out Session? session)
    {
        Expire();
        if (_sessions.TryGetValue((caller.Name, id), out session))
        {
            return true;
        }

        session = (caller.Scopes & Scopes.Manage) == 0 ? null : _sessions.Values.FirstOrDefault(s => s.Id == id);
        return session is not null;
    }

    private Session GetOrMake(string owner, string id)
    {
        if (_sessions.TryGetValue((owner, id), out var known) && !HasExpired(known))
        {
            return known;
        }

        if (_sessions.Count >= Most)
        {
            Expire();
            MakeRoom();
        }

        return _sessions[(owner, id)] = new Session(owner, id) { TouchedAt = time.GetTimestamp() };
    }

    private void MakeRoom()
    {
        if (_sessions.Count < Most)
        {
            return;
        }

        // A budget is a promise; what has none is only a memory of where a cache may be.
        var oldest = _sessions.Values.Where(s => s.Running == 0 && s.Budget.Limits == Limits.None).MinBy(s => s.TouchedAt)
            ?? throw new ProblemException(new Problem(
                ProblemCode.AdmissionReject, $"{Most} sessions with budgets are open; delete some with DELETE /v2/sessions/{{id}}", Backoff: new Backoff(1000)));
        _sessions.Remove((oldest.Owner, oldest.Id));
    }

    private void Expire()
    {
        foreach (var session in _sessions.Values.Where(HasExpired).ToList())
        {
            _sessions.Remove((session.Owner, session.Id));
        }
    }

    private bool HasExpired(Session session) => session.Running == 0 && time.GetElapsedTime(session.TouchedAt) >= session.Ttl;

    private SessionView ViewOf(Session session) => new()
    {
        SessionId = session.Id,
        TtlMsRemaining = (long)Math.Max(0, (session.Ttl - (session.Running > 0 ? TimeSpan.Zero : time.GetElapsedTime(session.TouchedAt))).TotalMilliseconds),
        Turns = session.Turns,
        KvWarmth = session.Warmth,
        TokensBudgetRemaining = session.Budget.TokensLeft,
        TimeBudgetRemainingMs = session.Budget.MsLeft,
        CostBudgetRemaining = session.Budget.CostLeft,
        Node = session.Last?.NodeId,
    };
}
