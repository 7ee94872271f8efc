using Loom.Harness.Checkpoints;
using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>The parts of one checkpoint while its barrier is under way. Its owner's lock guards it.</summary>
internal sealed class Gathering
{
    private readonly Dictionary<string, CheckpointPart> _parts = new(StringComparer.Ordinal);
    private readonly HashSet<string> _missing;

    public Gathering(CheckpointBarrier barrier, IEnumerable<string> components, IEnumerable<CheckpointPart> ended)
    {
        Barrier = barrier;
        _missing = [.. components];
        foreach (var part in ended)
        {
            Add(barrier, part);
        }
    }

    public CheckpointBarrier Barrier { get; }

    public IReadOnlyCollection<string> Missing => _missing;

    public TaskCompletionSource<IReadOnlyList<CheckpointPart>> Parts { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Add(CheckpointBarrier barrier, CheckpointPart part)
    {
        if (barrier.Number == Barrier.Number && _missing.Remove(part.Component))
        {
            _parts[part.Component] = part;
            if (_missing.Count == 0)
            {
                Parts.TrySetResult([.. _parts.Values]);
            }
        }
    }

    public void Fail(CheckpointBarrier barrier, Exception error)
    {
        if (barrier.Number == Barrier.Number)
        {
            Parts.TrySetException(error);
        }
    }
}
