namespace Loom.Harness.Checkpoints;

/// <summary>A checkpoint is not what was written: a part is missing or changed. The message goes on "checkpoint 1.7 cannot be used: ...".</summary>
internal sealed class CheckpointDamagedException(string message) : Exception(message);

/// <summary>The store itself is broken, not one value in it: its file cannot be read as a database.</summary>
internal sealed class StateDamagedException(string message, Exception? inner = null) : IOException(message, inner);

/// <summary>State is required and there is none that can be used, or nowhere to keep it: the system must not start (exit 6). The message begins with the code.</summary>
/// <param name="code">Of <see cref="StateCodes"/>.</param>
/// <param name="message">What was asked, what was found, what to do.</param>
/// <param name="inner">What it came from.</param>
internal sealed class StateRequiredException(string code, string message, Exception? inner = null) : Exception($"{code}: {message}", inner)
{
    public string Code => code;

    /// <summary>Exit code of the run.</summary>
    public const int ExitCode = 6;
}

/// <summary>Codes of what only a start can find out about state; those of the files stand with the other checks.</summary>
internal static class StateCodes
{
    /// <summary>A checkpoint holds the state of a component that the system no longer has.</summary>
    public const string ComponentGone = "LH702";

    /// <summary>The checkpoint that was named does not exist.</summary>
    public const string NoSuchCheckpoint = "LH703";

    /// <summary>The checkpoint that was named cannot be used.</summary>
    public const string CheckpointUnusable = "LH704";

    /// <summary>State is required and its store cannot be used.</summary>
    public const string StoreUnusable = "LH705";

    /// <summary>State is required and no checkpoint can be used.</summary>
    public const string NoneUsable = "LH706";
}
