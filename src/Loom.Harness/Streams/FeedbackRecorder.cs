using Loom.Components;
using Loom.Harness.Checkpoints;

namespace Loom.Harness.Streams;

/// <summary>The stream that closes a loop, as checkpoints see it.</summary>
internal interface IFeedbackStream
{
    /// <summary>Name of its part in a checkpoint.</summary>
    string PartName { get; }

    /// <summary>Its reader has passed the barrier: events that come from now on until the barrier has gone round belong to the checkpoint.</summary>
    void Record(CheckpointBarrier barrier);

    /// <summary>Puts back the events of a checkpoint, before anything runs.</summary>
    ValueTask RestoreAsync(RestoredState state, CancellationToken ct);
}

/// <summary>
/// What a loop has under way at a barrier: the events that come back between its head passing the barrier and the barrier coming back behind them. Not for two threads.
/// </summary>
internal sealed class FeedbackRecorder<T>(Action<CheckpointBarrier, StateWriter?> done)
{
    private readonly List<(CheckpointBarrier Barrier, List<Event<T>> Events)> _open = [];

    public void Begin(CheckpointBarrier barrier) => _open.Add((barrier, []));

    public void Add(in Event<T> e)
    {
        foreach (var (_, events) in _open)
        {
            events.Add(e);
        }
    }

    /// <summary>The barrier has come round: its record is whole, and older ones are of checkpoints that were given up.</summary>
    public void End(CheckpointBarrier barrier)
    {
        foreach (var (of, events) in _open.Where(o => o.Barrier.Number == barrier.Number))
        {
            done(of, WriterOf(events));
        }

        _open.RemoveAll(o => o.Barrier.Number <= barrier.Number);
    }

    /// <summary>Nothing will come any more: every record is whole.</summary>
    public void EndAll()
    {
        foreach (var (of, events) in _open)
        {
            done(of, WriterOf(events));
        }

        _open.Clear();
    }

    /// <summary>Reads what a record wrote.</summary>
    /// <exception cref="StateDamagedException">An event cannot be read as what the loop carries now.</exception>
    public static async ValueTask<IReadOnlyList<Event<T>>> ReadAsync(Stream content, CancellationToken ct)
    {
        var events = new List<Event<T>>();
        using var reader = new StreamReader(content, leaveOpen: true);
        while (await reader.ReadLineAsync(ct).ConfigureAwait(false) is { Length: > 0 } line)
        {
            try
            {
                events.Add(EventCodec<T>.Read(System.Text.Encoding.UTF8.GetBytes(line)));
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                throw new StateDamagedException($"event {events.Count + 1} of the record cannot be read as {typeof(T).Name}: {e.Message}", e);
            }
        }

        return events;
    }

    private static StateWriter? WriterOf(List<Event<T>> events) => events.Count == 0 ? null : async (into, ct) =>
    {
        foreach (var e in events)
        {
            await into.WriteAsync(EventCodec<T>.Write(e), ct).ConfigureAwait(false);
            await into.WriteAsync("\n"u8.ToArray(), ct).ConfigureAwait(false);
        }
    };
}
