namespace Loom.Components;

/// <summary>What a source read: one item with its place, or the end.</summary>
/// <typeparam name="T">The payload.</typeparam>
public readonly record struct Read<T>
{
    /// <summary>No more will come.</summary>
    public static Read<T> End { get; } = new() { IsEnd = true };

    /// <summary>Whether the data has ended.</summary>
    public bool IsEnd { get; private init; }

    /// <summary>The payload.</summary>
    public T Data { get; init; }

    /// <summary>The part of the source it came from (a file, a topic); part of the event's id. Keep one string per partition.</summary>
    public string Partition { get; init; }

    /// <summary>Its place in the partition, at least 0; part of the event's id.</summary>
    public long Offset { get; init; }

    /// <summary>Where reading goes on after it, for the next run; a checkpoint keeps it for each partition.</summary>
    public long Next { get; init; }

    /// <summary>What order and partitions follow, or null.</summary>
    public string? Key { get; init; }

    /// <summary>When it happened; the default value means now.</summary>
    public DateTimeOffset Time { get; init; }

    /// <summary>Called once when everything that came of it is confirmed or dead-lettered; null when the source needs no word.</summary>
    public Func<ValueTask>? Acknowledge { get; init; }

    /// <summary>Whether a mock made it.</summary>
    public bool Mock { get; init; }

    /// <summary>
    /// Why this piece of the input cannot be read, where <see cref="Data"/> shows the piece as it stands: it goes to the error destination instead of the output, and reading goes on
    /// behind it. Null: it is fine.
    /// </summary>
    public ItemException? Error { get; init; }

    /// <summary>One item of a source with a single partition.</summary>
    public static Read<T> Item(T data, long offset, long next) => new() { Data = data, Partition = "0", Offset = offset, Next = next };
}

/// <summary>Brings events in. The harness calls <see cref="ReadAsync"/> in a loop, gives ids, keeps offsets and takes checkpoints between reads.</summary>
/// <typeparam name="T">Payload of the port <c>out</c>.</typeparam>
public abstract class Source<T> : Component, ISeekable
{
    /// <summary>The next item or the end. Waits for one; ends early, by returning the end, when <paramref name="stopping"/> fires.</summary>
    /// <param name="stopping">A soft stop: what was read is still delivered.</param>
    /// <param name="ct">Give up.</param>
    protected internal abstract ValueTask<Read<T>> ReadAsync(CancellationToken stopping, CancellationToken ct);

    /// <summary>Where to go on: the <see cref="Read{T}.Next"/> of each partition in the checkpoint that is resumed. Called after setup, before the first read.</summary>
    protected internal virtual ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct) => default;

    ValueTask ISeekable.SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct) => SeekAsync(next, ct);

    /// <inheritdoc />
    protected internal sealed override Task ProcessAsync(ProcessContext ctx, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        return ctx.Runner.RunAsync(this, ct);
    }
}
