namespace Loom.Harness.Architecture;

internal enum Severity
{
    Error,
    Warning,
}

/// <summary>Something wrong in a system's files, where it stands and what to do.</summary>
/// <param name="Code">LH and three digits.</param>
/// <param name="Severity">An error keeps the system from running; a warning does not.</param>
/// <param name="File">Relative to the system's folder.</param>
/// <param name="Line">From 1; 0 when the finding is about the whole file.</param>
/// <param name="Column">From 1; 0 when unknown.</param>
/// <param name="Message">What is wrong; what to do.</param>
internal sealed record Finding(string Code, Severity Severity, string File, int Line, int Column, string Message)
{
    /// <summary>The one line people and editors read.</summary>
    public override string ToString() => Line > 0
        ? $"{File}:{Line}:{Column}: {SeverityText} {Code}: {Message}"
        : $"{File}: {SeverityText} {Code}: {Message}";

    private string SeverityText => Severity == Severity.Error ? "error" : "warning";
}
