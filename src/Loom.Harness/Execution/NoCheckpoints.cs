using Loom.Components;
using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>For a system in which nothing can be resumed.</summary>
internal sealed class NoCheckpoints : ICheckpointParts
{
    public void Passed(string component, CheckpointBarrier barrier, IReadOnlyDictionary<string, long> offsets, StateWriter? state)
    {
    }

    public void Failed(string component, CheckpointBarrier barrier, Exception error)
    {
    }

    public void Ended(string component, IReadOnlyDictionary<string, long> offsets, StateWriter? state)
    {
    }

    public bool IsBounded => false;

    public bool MustHold => false;

    public void CountSent()
    {
    }
}
