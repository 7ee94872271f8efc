using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>
/// Who waits for word that what a component has sent is confirmed. A barrier stands behind all that was sent before it, so once it has come through the system those are told.
/// For the component's own loop alone; kept across its restarts.
/// </summary>
internal sealed class Acknowledgements
{
    private readonly Queue<(CheckpointBarrier Barrier, List<Func<ValueTask>> Waiting)> _marked = [];
    private List<Func<ValueTask>> _since = [];

    /// <summary>Somebody waits for what was sent just now, or is about to be sent before the next barrier.</summary>
    public void Add(Func<ValueTask> acknowledge) => _since.Add(acknowledge);

    /// <summary>The component sends a barrier.</summary>
    public void Mark(CheckpointBarrier barrier)
    {
        if (_since.Count > 0)
        {
            _marked.Enqueue((barrier, _since));
            _since = [];
        }
    }

    /// <summary>A barrier is confirmed, and with it those that were given up before it.</summary>
    public async ValueTask TellAsync(CheckpointBarrier upTo)
    {
        while (_marked.TryPeek(out var next) && next.Barrier.Number <= upTo.Number)
        {
            _marked.Dequeue();
            await TellAsync(next.Waiting).ConfigureAwait(true);
        }
    }

    /// <summary>The run has ended well: everything is confirmed.</summary>
    public async ValueTask TellAllAsync()
    {
        while (_marked.TryDequeue(out var next))
        {
            await TellAsync(next.Waiting).ConfigureAwait(true);
        }

        await TellAsync(_since).ConfigureAwait(true);
        _since.Clear();
    }

    private static async ValueTask TellAsync(List<Func<ValueTask>> waiting)
    {
        foreach (var acknowledge in waiting)
        {
            await acknowledge().ConfigureAwait(true);
        }
    }
}
