namespace Loom.Harness.Checkpoints;

/// <summary>A checkpoint is not what was written: a part is missing or changed. The message goes on "checkpoint 1.7 cannot be used: ...".</summary>
internal sealed class CheckpointDamagedException(string message) : Exception(message);

/// <summary>The store itself is broken, not one value in it: its file cannot be read as a database.</summary>
internal sealed class StateDamagedException(string message, Exception? inner = null) : IOException(message, inner);

/// <summary>State is required and there is none that can be used, or nowhere to keep it: the system must not start (exit 6).</summary>
internal sealed class StateRequiredException(string message, Exception? inner = null) : Exception(message, inner)
{
    /// <summary>Exit code of the run.</summary>
    public const int ExitCode = 6;
}
