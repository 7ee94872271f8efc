namespace Loom.Runtime;

/// <summary>Something that was asked of <c>loom</c> failed.</summary>
public class LoomException : Exception
{
    /// <summary>Creates one.</summary>
    /// <param name="exitCode">Exit code of <c>loom</c>, as its reference lists them: 2 usage or configuration, 6 integrity, 8 network, ...</param>
    /// <param name="code">Stable name of the failure, for example <c>PORT_TAKEN</c>.</param>
    /// <param name="message">What was asked, what was found.</param>
    /// <param name="fix">What mends it; null when nothing simple does.</param>
    public LoomException(int exitCode, string code, string message, string? fix = null)
        : base(fix is null ? message : $"{message} (fix: {fix})") => (ExitCode, Code, Fix) = (exitCode, code, fix);

    /// <summary>Exit code of <c>loom</c>.</summary>
    public int ExitCode { get; }

    /// <summary>Stable name of the failure.</summary>
    public string Code { get; }

    /// <summary>What mends it; null when nothing simple does.</summary>
    public string? Fix { get; }
}

/// <summary>One fault of a configuration.</summary>
/// <param name="Code">Its number, for example <c>CFG021</c>.</param>
/// <param name="Key">Setting at fault; null where it is none.</param>
/// <param name="Message">What is wrong.</param>
/// <param name="File">File it stands in; null for a variable or a default.</param>
/// <param name="Line">Line, from 1; 0 = not in a file.</param>
/// <param name="Column">Column, from 1; 0 = not in a file.</param>
/// <param name="Fix">What mends it.</param>
public sealed record ConfigError(string Code, string? Key, string Message, string? File, int Line, int Column, string? Fix)
{
    /// <summary>The fault in one line.</summary>
    public override string ToString() =>
        $"{(File is null ? "" : $"{File}:{Line}:{Column}: ")}{Code}{(Key is null ? "" : " " + Key)}: {Message}{(Fix is null ? "" : $" (fix: {Fix})")}";
}

/// <summary>A configuration is wrong. All faults are told at once.</summary>
public sealed class ConfigException : LoomException
{
    /// <summary>Creates one.</summary>
    /// <param name="errors">Every fault, in the order of the file.</param>
    public ConfigException(IReadOnlyList<ConfigError> errors)
        : base(2, "CONFIGURATION", string.Join(System.Environment.NewLine, errors)) => Errors = errors;

    /// <summary>Every fault, in the order of the file.</summary>
    public IReadOnlyList<ConfigError> Errors { get; }
}
