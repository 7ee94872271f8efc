using System.Text.Json;
using Loom.Control.Placement;
using Loom.Core.Queues;

namespace Loom.Control.Tasks;

/// <summary>What a task asks of an engine.</summary>
internal enum Workload
{
    /// <summary>Text.</summary>
    Completion,

    /// <summary>Vectors.</summary>
    Embedding,

    /// <summary>An order of texts.</summary>
    Rerank,
}

/// <summary>A task request that was found good, with its defaults filled in. Immutable.</summary>
internal sealed record TaskPlan
{
    public required string ModelRef { get; init; }

    public Workload Workload { get; init; }

    public required string? Prompt { get; init; }

    public required JsonElement? Messages { get; init; }

    public required JsonElement? Inputs { get; init; }

    public required string SessionId { get; init; }

    /// <summary>Whether the client named the session, so that it means to use it again.</summary>
    public bool OwnSession { get; init; }

    public QueueClass Class { get; init; }

    public int MaxTokens { get; init; }

    public int? DeadlineMs { get; init; }

    public long? Seed { get; init; }

    public bool Strict { get; init; }

    /// <summary>Whether the replica of the last turn is preferred.</summary>
    public bool ReuseKv { get; init; }

    /// <summary>What it asks of its place; null = nothing.</summary>
    public PlacementWish? Placement { get; init; }

    /// <summary>Greatest number of tokens its prompt can have: no token is shorter than a byte, and templates add some for each message.</summary>
    public int PromptBytes { get; init; }
}
