using Loom.Wire;

namespace Loom.Control.Sessions;

/// <summary>One conversation: what it may use, what it has used, where its last turn ran. All of it belongs to <see cref="SessionTable"/>'s lock.</summary>
internal sealed class Session(string owner, string id)
{
    public string Owner { get; } = owner;

    public string Id { get; } = id;

    public Budget Budget { get; } = new();

    public TimeSpan Ttl { get; set; } = SessionTable.DefaultTtl;

    /// <summary>When it was last used, a timestamp.</summary>
    public long TouchedAt { get; set; }

    /// <summary>Requests that run.</summary>
    public int Running { get; set; }

    public int Turns { get; set; }

    /// <summary>Where the last turn ran.</summary>
    public ReplicaId? Last { get; set; }

    /// <summary>Share of the last prompt that the engine still had, 0 to 1; null before the first turn.</summary>
    public double? Warmth { get; set; }

    /// <summary>Forgotten by its client; requests that still run settle into nothing.</summary>
    public bool Deleted { get; set; }
}

/// <summary>A session, as <c>GET /v2/sessions/{id}</c> shows it.</summary>
internal sealed record SessionView
{
    public required string SessionId { get; init; }

    public required long TtlMsRemaining { get; init; }

    public required int Turns { get; init; }

    /// <summary>Bytes its cache takes on the engine; null = the engine does not tell.</summary>
    public long? KvBytes { get; init; }

    public double? KvWarmth { get; init; }

    public long? TokensBudgetRemaining { get; init; }

    public long? TimeBudgetRemainingMs { get; init; }

    public double? CostBudgetRemaining { get; init; }

    public string? Node { get; init; }

    /// <summary>Slot of the last turn; null = the engine chose it.</summary>
    public int? Slot { get; init; }
}
