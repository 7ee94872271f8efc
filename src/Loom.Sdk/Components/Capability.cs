namespace Loom.Components;

/// <summary>Names a capability of your own and its place in the chain.</summary>
/// <param name="name">How <c>capabilities</c> names it.</param>
/// <param name="tier">11 to 89, not a kernel tier (20, 25); lower is further out.</param>
[AttributeUsage(AttributeTargets.Class, Inherited = false)]
public sealed class CapabilityAttribute(string name, int tier) : Attribute
{
    /// <summary>How <c>capabilities</c> names it.</summary>
    public string Name { get; } = name;

    /// <summary>Its place: lower is further out.</summary>
    public int Tier { get; } = tier;
}

/// <summary>What a capability is told of the event in hand.</summary>
/// <param name="Component">The component that handles it.</param>
/// <param name="Id">The event.</param>
/// <param name="Key">Its key.</param>
/// <param name="Data">Its payload; boxed when it is a value.</param>
/// <param name="Attempt">Which attempt of Retry this is, from 1.</param>
public sealed record ItemContext(string Component, EventId Id, string? Key, object? Data, int Attempt);

/// <summary>What a capability is told of the batch in hand.</summary>
/// <param name="Component">The component that handles it.</param>
/// <param name="BatchId">Its id.</param>
/// <param name="Items">Its members, in order.</param>
public sealed record BatchContext(string Component, string BatchId, IReadOnlyList<ItemContext> Items);

/// <summary>
/// Something every event of a component passes: a check, a limit, a record. All hooks are optional. A capability without batch hooks has its item
/// hooks called for each member.
/// </summary>
public abstract class Capability
{
    /// <summary>Before the handler, from the lowest tier to the highest. Throw <see cref="ItemException"/> to refuse the event.</summary>
    protected internal virtual ValueTask BeforeProcessAsync(ItemContext item, CancellationToken ct) => default;

    /// <summary>Around the handler and everything of higher tiers. An event for which it does not call <paramref name="next"/> is done, and nothing comes of it.</summary>
    /// <remarks>
    /// Where the component takes batches and this class has no batch hooks: once for each member, as if it came alone. All go in as far as <paramref name="next"/>, one after the other; those that call it are handled
    /// together as one batch, the others are left out of it; then each goes on, in the same order, with the error of its own event when there is one. All members are inside at the same time, so what one holds on to
    /// there must not be what the next one waits for, and <paramref name="next"/> can be called once for each.
    /// </remarks>
    /// <param name="item">The event.</param>
    /// <param name="next">The rest of the chain.</param>
    /// <param name="ct">Gives up.</param>
    protected internal virtual ValueTask AroundProcessAsync(ItemContext item, Func<CancellationToken, ValueTask> next, CancellationToken ct) => next(ct);

    /// <summary>After the handler, from the highest tier to the lowest, for each whose Before ran; with the error when there was one.</summary>
    protected internal virtual ValueTask AfterProcessAsync(ItemContext item, Exception? error, CancellationToken ct) => default;

    /// <summary>Before a batch is handled, from the lowest tier to the highest (<c>before_receive_batch</c>).</summary>
    protected internal virtual async ValueTask BeforeReceiveBatchAsync(BatchContext batch, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(batch);
        foreach (var item in batch.Items)
        {
            await BeforeProcessAsync(item, ct).ConfigureAwait(false);
        }
    }

    /// <summary>After a batch was handled, from the highest tier to the lowest (<c>after_send_batch</c>); its results go on when all have returned.</summary>
    protected internal virtual async ValueTask AfterSendBatchAsync(BatchContext batch, Exception? error, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(batch);
        foreach (var item in batch.Items)
        {
            await AfterProcessAsync(item, error, ct).ConfigureAwait(false);
        }
    }
}
