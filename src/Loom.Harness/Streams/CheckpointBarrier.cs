namespace Loom.Harness.Streams;

/// <summary>The line between what belongs to a checkpoint and what comes after it; it travels with the events.</summary>
/// <param name="Number">Rising number of the checkpoint.</param>
internal sealed record CheckpointBarrier(long Number);
