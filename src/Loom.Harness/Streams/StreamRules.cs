using Loom.Harness.Architecture;
using Loom.Harness.Errors;
using Loom.Harness.Execution;

namespace Loom.Harness.Streams;

/// <summary>What a stream does besides holding events until they are read.</summary>
internal sealed record StreamRules
{
    /// <summary>The reader asks for each event.</summary>
    public bool Pull { get; init; }

    /// <summary>Older events are refused as <c>expired</c> when they would be read.</summary>
    public TimeSpan? TimeToLive { get; init; }

    /// <summary>Its reader belongs to no checkpoint, so barriers do not enter.</summary>
    public bool IgnoresBarriers { get; init; }

    /// <summary>The loop of bindings it belongs to, and what it is there.</summary>
    public (FeedbackLoop Loop, LoopPlace Place)? Loop { get; init; }

    /// <summary>Takes the part of a stream that closes a loop in a checkpoint; the second when it has ended.</summary>
    public (ICheckpointParts Parts, string Name)? Checkpoints { get; init; }

    /// <summary>The oldest event makes room for a new one.</summary>
    public bool DropOldest { get; init; }

    /// <summary>Takes what a stream refuses while its reader looks.</summary>
    public required Refusals Refused { get; init; }

    /// <summary>Takes what the writer must give up; its loop calls.</summary>
    public required Func<IErrorDestination> Displaced { get; init; }

    /// <summary>Whether a binding asks for more than bounded, blocking first-in first-out.</summary>
    public static bool AreNeeded(BindingPlan binding, PortPlan to) =>
        to.Flow == FlowType.Pull || binding.TimeToLive is not null || binding.Overflow is OverflowRule.DropOldest or OverflowRule.Spill;
}

/// <summary>An event in a stream.</summary>
/// <param name="Event">The event.</param>
/// <param name="At">When it entered, as a timestamp.</param>
internal readonly record struct Held<T>(Loom.Components.Event<T> Event, long At);
