using Loom.Components;

namespace Loom.Harness.Execution;

/// <summary>The batch that one data input is gathering: a batch never mixes inputs, so its members all mean the same to the component.</summary>
internal sealed class FormingBatch<T>(int port, Func<Batch<T>> next)
{
    private Batch<T>? _batch;

    public int Port => port;

    public int Count => _batch?.Count ?? 0;

    public bool IsFull => _batch is { IsFull: true };

    /// <summary>When its first event came, as a timestamp.</summary>
    public long FirstAt { get; private set; }

    /// <summary>An event that was gathered.</summary>
    public Event<T> this[int index] => _batch![index];

    /// <summary>Where more events are read to, followed by <see cref="Grow"/>.</summary>
    public Span<Event<T>> Room => (_batch ??= next()).Room;

    public void Grow(int by, TimeProvider time)
    {
        if (by > 0 && _batch!.Count == 0)
        {
            FirstAt = time.GetTimestamp();
            _batch.FirstItem = time.GetUtcNow();
        }

        _batch!.Grow(by);
    }

    /// <summary>Takes the batch as it stands; the next event begins another.</summary>
    public Batch<T> Close(BatchReason reason, long sequence, DateTimeOffset now)
    {
        var batch = _batch!;
        _batch = null;
        batch.Port = port;
        batch.Sequence = sequence;
        batch.Reason = reason;
        batch.LastItem = now;
        batch.Formed = now;
        return batch;
    }
}
