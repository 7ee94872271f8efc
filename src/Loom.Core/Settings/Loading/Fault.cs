namespace Loom.Core.Settings;

/// <summary>Whether a fault stops a start.</summary>
public enum FaultSeverity
{
    Error,
    Warning,
}

/// <summary>One fault of the configuration, complete: what, where, what is allowed and a way out. No text in it holds a secret.</summary>
public sealed record Fault
{
    public required FaultSeverity Severity { get; init; }

    public required FaultCode Code { get; init; }

    /// <summary>Key at fault; null for a file or an unknown variable.</summary>
    public string? Key { get; init; }

    /// <summary>Variable that set, or would set, the value.</summary>
    public string? Variable { get; init; }

    /// <summary>The value as given, redacted where secret; null when it is missing or stands in the line shown.</summary>
    public string? Value { get; init; }

    /// <summary>Where it is; null when nothing was given.</summary>
    public SettingSource? Source { get; init; }

    /// <summary>What was expected and found; a rule's text begins with its number.</summary>
    public string Message { get; init; } = "";

    /// <summary>The closed list, or null.</summary>
    public string? Allowed { get; init; }

    /// <summary>R number of a cross rule, or null.</summary>
    public string? Rule { get; init; }

    /// <summary>What mends it; null when the message says it all.</summary>
    public string? Fix { get; init; }

    /// <summary>The line of the file, redacted; null when there is none to show.</summary>
    public string? Line { get; init; }

    /// <summary>Column of the first character at fault in <see cref="Line"/>, from 1; differs from the place in the file where a secret was redacted.</summary>
    public int Caret { get; init; }

    /// <summary>Number of characters at fault in <see cref="Line"/>.</summary>
    public int Length { get; init; }

    /// <summary>Key of the setting where <see cref="Key"/> is a shorthand for it; null = the same.</summary>
    internal string? SettledKey { get; init; }

    /// <summary>Order of its file among the files read; file faults come first, in this order.</summary>
    internal int FileOrder { get; init; } = int.MaxValue;
}
