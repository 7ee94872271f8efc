namespace Loom.Components;

/// <summary>Writes a frozen copy of a component's state; called in the background while the component goes on.</summary>
public delegate ValueTask StateWriter(Stream into, CancellationToken ct);

/// <summary>State found in a checkpoint.</summary>
/// <param name="Version">The <see cref="ComponentAttribute.StateVersion"/> it was written with.</param>
/// <param name="Content">The bytes the component's own <see cref="StateWriter"/> wrote.</param>
public sealed record RestoredState(int Version, Stream Content);

/// <summary>
/// A part of a system with a loop of its own over typed, bounded ports. Most components derive from a base that leaves the loop to the harness:
/// <see cref="Source{T}"/>, <see cref="Transformer{TIn, TOut}"/>, <see cref="StreamProcessor{TIn, TOut}"/>, <see cref="Accumulator{TIn, TState, TOut}"/>,
/// <see cref="Router{T}"/>, <see cref="Sink{T}"/>. One instance is used by one task at a time.
/// </summary>
/// <remarks>Setup runs in the order of declaration, cleanup in exactly the reverse; each is called at most once for an instance.</remarks>
public abstract class Component
{
    /// <summary>Opens what the component needs. What it gives to <see cref="SetupContext.Own"/> is disposed also when this throws.</summary>
    protected internal virtual ValueTask SetupAsync(SetupContext ctx, CancellationToken ct) => default;

    /// <summary>The component's life between setup and cleanup. When it returns, its outputs complete.</summary>
    protected internal abstract Task ProcessAsync(ProcessContext ctx, CancellationToken ct);

    /// <summary>Closes what the component holds; has a deadline, and runs also after a failure.</summary>
    protected internal virtual ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct) => default;

    /// <summary>
    /// Takes changed options, between two events: the record its constructor took, with keys marked <see cref="HotAttribute"/> changed. An instance that is set up anew is made with
    /// them. A component with such keys overrides it.
    /// </summary>
    /// <param name="options">The whole record.</param>
    /// <param name="ct">Give up.</param>
    protected internal virtual ValueTask ReconfigureAsync(object options, CancellationToken ct) =>
        throw new NotSupportedException($"{GetType().Name} has hot keys and no ReconfigureAsync");

    /// <summary>
    /// Freezes the state for a checkpoint, with no event in hand: it must be quick, and what it returns writes the frozen copy later. Null (the
    /// default) means that there is nothing to keep.
    /// </summary>
    protected internal virtual ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct) => new((StateWriter?)null);

    /// <summary>Takes over state of an earlier checkpoint, after setup and before the first event.</summary>
    protected internal virtual ValueTask RestoreAsync(RestoredState state, CancellationToken ct) =>
        throw new NotSupportedException($"{GetType().Name} wrote state and has no RestoreAsync");
}
