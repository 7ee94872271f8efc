using Loom.Harness.Errors;

namespace Loom.Harness.Telemetry;

/// <summary>What metrics and alerts ask about a run besides its parts; each is read when it is asked for, by any thread.</summary>
internal sealed record RunFacts
{
    /// <summary>Dead letters of this run by error code.</summary>
    public Func<IReadOnlyDictionary<string, long>> DeadLetters { get; init; } = static () => new Dictionary<string, long>();

    /// <summary>Why dead letters cannot be written; null when they can.</summary>
    public Func<string?> DeadLetterTrouble { get; init; } = static () => null;

    /// <summary>The process and its machine, at most a second old; null where nobody looks.</summary>
    public Func<ResourceSample?> Resources { get; init; } = static () => null;
}
