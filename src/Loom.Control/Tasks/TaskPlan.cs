using System.Collections.Immutable;
using System.Text.Json;
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

    /// <summary>Engine kind it needs; null = any.</summary>
    public string? Engine { get; init; }

    public int? Ctx { get; init; }

    /// <summary>Whether the replica of the last turn is preferred.</summary>
    public bool ReuseKv { get; init; }

    public required PlacementWish Placement { get; init; }

    /// <summary>Greatest number of tokens its prompt can have: no token is shorter than a byte, and templates add some for each message.</summary>
    public int PromptBytes { get; init; }
}

/// <summary>Where a task may run, judged.</summary>
/// <param name="PinPool">The pool it must, or should, run on; null = any.</param>
/// <param name="AllowFallback">Whether it may run elsewhere when the pinned pool cannot take it.</param>
/// <param name="Prefer">Pools to try first, in order.</param>
/// <param name="Avoid">Pools it must not run on.</param>
/// <param name="Devices">Devices a replica must have.</param>
internal sealed record PlacementWish(string? PinPool, bool AllowFallback, ImmutableArray<string> Prefer, ImmutableArray<string> Avoid, ImmutableArray<string> Devices)
{
    public static PlacementWish None { get; } = new(null, true, [], [], []);
}
