namespace Loom.Processes.Spawning;

/// <summary>A child could not be started.</summary>
/// <param name="message">What was asked, what was found, what to do.</param>
/// <param name="permanent">True when trying again cannot help: no such command, not executable, no such folder.</param>
public sealed class SpawnException(string message, bool permanent) : Exception(message)
{
    /// <summary>True when trying again cannot help.</summary>
    public bool Permanent { get; } = permanent;
}
