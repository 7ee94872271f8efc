namespace Loom.Components;

/// <summary>
/// A component whose loop the harness runs: it reads, batches, executes the capability chain, keeps order, releases outputs and takes
/// checkpoints; the component says what one event (or one batch) becomes.
/// </summary>
/// <typeparam name="TIn">Payload of its data inputs.</typeparam>
/// <typeparam name="TOut">Payload of its data outputs.</typeparam>
public abstract class ItemComponent<TIn, TOut> : Component, ICommits
{
    /// <summary>Its data inputs; one named <c>in</c> by default.</summary>
    protected internal virtual IReadOnlyList<string> Inputs => ["in"];

    /// <summary>Its data outputs, the first of which is meant when none is named; one named <c>out</c> by default.</summary>
    protected internal virtual IReadOnlyList<string> Outputs => ["out"];

    /// <summary>Whether it handles batches at once; true where <see cref="HandleBatchAsync"/> is overridden by a base.</summary>
    protected internal virtual bool HandlesBatches => false;

    /// <summary>How often <see cref="OnTickAsync"/> is called while no event is in hand; null (the default) means never.</summary>
    protected internal virtual TimeSpan? Tick => null;

    /// <summary>Called every <see cref="Tick"/>, between events: windows that time closes, entries that expire.</summary>
    protected internal virtual ValueTask OnTickAsync(DateTimeOffset now, Emitter<TOut> output, CancellationToken ct) => default;

    /// <summary>
    /// The inputs have ended, a checkpoint is being taken or the system stops: what is buffered goes out. <paramref name="end"/> is true at the end of the
    /// inputs, when open windows close too.
    /// </summary>
    protected internal virtual ValueTask FlushAsync(bool end, Emitter<TOut> output, CancellationToken ct) => default;

    /// <summary>The checkpoint in which this component's last flush took part is complete and durable: staged output is made visible. May be repeated after a crash.</summary>
    protected internal virtual ValueTask CommitAsync(CancellationToken ct) => default;

    /// <inheritdoc />
    protected internal sealed override Task ProcessAsync(ProcessContext ctx, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        return ctx.Runner.RunAsync(this, ct);
    }

    ValueTask ICommits.CommitAsync(CancellationToken ct) => CommitAsync(ct);

    // One event of one input port, by its index.
    internal abstract ValueTask HandleAsync(int port, Event<TIn> e, Emitter<TOut> output, CancellationToken ct);

    internal virtual ValueTask HandleBatchAsync(Batch<TIn> batch, BatchEmitter<TOut> output, CancellationToken ct) =>
        throw new NotSupportedException("this component takes events one by one");
}

/// <summary>One event in, none or many out.</summary>
/// <typeparam name="TIn">Payload of the port <c>in</c>.</typeparam>
/// <typeparam name="TOut">Payload of the port <c>out</c>.</typeparam>
public abstract class Transformer<TIn, TOut> : ItemComponent<TIn, TOut>
{
    /// <summary>What one event becomes.</summary>
    protected abstract ValueTask OnItemAsync(Event<TIn> e, Emitter<TOut> output, CancellationToken ct);

    /// <summary>What a batch becomes; called only where <see cref="ItemComponent{TIn, TOut}.HandlesBatches"/> is true.</summary>
    protected virtual ValueTask OnBatchAsync(Batch<TIn> batch, BatchEmitter<TOut> output, CancellationToken ct) =>
        base.HandleBatchAsync(batch, output, ct);

    internal sealed override ValueTask HandleAsync(int port, Event<TIn> e, Emitter<TOut> output, CancellationToken ct) => OnItemAsync(e, output, ct);

    internal sealed override ValueTask HandleBatchAsync(Batch<TIn> batch, BatchEmitter<TOut> output, CancellationToken ct) =>
        OnBatchAsync(batch, output, ct);
}

/// <summary>Several inputs of one type: windows, joins, lookups.</summary>
/// <typeparam name="TIn">Payload of its inputs.</typeparam>
/// <typeparam name="TOut">Payload of its outputs.</typeparam>
public abstract class StreamProcessor<TIn, TOut> : ItemComponent<TIn, TOut>
{
    /// <summary>What one event of one input becomes.</summary>
    protected abstract ValueTask OnItemAsync(string port, Event<TIn> e, Emitter<TOut> output, CancellationToken ct);

    internal sealed override ValueTask HandleAsync(int port, Event<TIn> e, Emitter<TOut> output, CancellationToken ct) =>
        OnItemAsync(Inputs[port], e, output, ct);
}

/// <summary>One in, several named outs: every event leaves by a named port (<see cref="Emitter{T}.SendAsync(string, Event{T}, CancellationToken)"/>) or counts as unrouted.</summary>
/// <typeparam name="T">Payload of its ports.</typeparam>
public abstract class Router<T> : ItemComponent<T, T>
{
    /// <summary>Sends the event to the ports it belongs to.</summary>
    protected abstract ValueTask OnItemAsync(Event<T> e, Emitter<T> output, CancellationToken ct);

    internal sealed override async ValueTask HandleAsync(int port, Event<T> e, Emitter<T> output, CancellationToken ct)
    {
        await OnItemAsync(e, output, ct).ConfigureAwait(false);
        if (output.Count == 0 && !output.ReleasedEarly)
        {
            throw new ItemException("unrouted", "no condition took the event; add a default port");
        }
    }
}

/// <summary>Keyed state that emits aggregates.</summary>
/// <typeparam name="TIn">Payload of the port <c>in</c>.</typeparam>
/// <typeparam name="TState">State of one key.</typeparam>
/// <typeparam name="TOut">Payload of the port <c>out</c>.</typeparam>
public abstract class Accumulator<TIn, TState, TOut> : ItemComponent<TIn, TOut>
{
    /// <summary>Takes one event into the state it belongs to and sends what that completes.</summary>
    protected abstract ValueTask OnItemAsync(Event<TIn> e, Emitter<TOut> output, CancellationToken ct);

    internal sealed override ValueTask HandleAsync(int port, Event<TIn> e, Emitter<TOut> output, CancellationToken ct) => OnItemAsync(e, output, ct);
}

/// <summary>Takes events out of the system. What it was given is durable when <see cref="ItemComponent{TIn, TOut}.FlushAsync"/> has returned.</summary>
/// <typeparam name="T">Payload of the port <c>in</c>.</typeparam>
public abstract class Sink<T> : ItemComponent<T, T>
{
    /// <inheritdoc />
    protected internal sealed override IReadOnlyList<string> Outputs => [];

    /// <summary>Takes one event.</summary>
    protected abstract ValueTask OnItemAsync(Event<T> e, CancellationToken ct);

    /// <summary>Takes a batch; called only where <see cref="ItemComponent{TIn, TOut}.HandlesBatches"/> is true. A member that cannot be taken is failed in <paramref name="output"/>.</summary>
    protected virtual ValueTask OnBatchAsync(Batch<T> batch, BatchEmitter<T> output, CancellationToken ct) => base.HandleBatchAsync(batch, output, ct);

    internal sealed override ValueTask HandleAsync(int port, Event<T> e, Emitter<T> output, CancellationToken ct) => OnItemAsync(e, ct);

    internal sealed override ValueTask HandleBatchAsync(Batch<T> batch, BatchEmitter<T> output, CancellationToken ct) => OnBatchAsync(batch, output, ct);
}
