namespace Loom.Cli.Terminal;

/// <summary>The exit codes of <c>loom</c>; the same table stands in docs/reference/cli.md.</summary>
public static class ExitCode
{
    /// <summary>Done; also a clean stop, and <c>down</c> with nothing running.</summary>
    public const int Ok = 0;

    /// <summary>The operation failed, or something survived a <c>down</c>.</summary>
    public const int Failed = 1;

    /// <summary>Usage, configuration or a taken port: trying again does not help.</summary>
    public const int Usage = 2;

    /// <summary>Nothing is running, or there is no such name.</summary>
    public const int NotRunning = 3;

    /// <summary>A component has failed or was skipped.</summary>
    public const int ComponentFailed = 4;

    /// <summary>A wait timed out.</summary>
    public const int TimedOut = 5;

    /// <summary>A checksum is missing or wrong.</summary>
    public const int Integrity = 6;

    /// <summary>The project's lock is held by a runtime that does not answer.</summary>
    public const int Conflict = 7;

    /// <summary>Network or download: trying again may help.</summary>
    public const int Transient = 8;

    /// <summary>Ended by Ctrl-C.</summary>
    public const int Interrupted = 130;

    /// <summary>Ended by SIGTERM before the runtime was up.</summary>
    public const int Terminated = 143;
}
