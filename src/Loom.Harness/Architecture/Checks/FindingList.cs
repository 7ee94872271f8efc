using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Checks;

/// <summary>Everything found wrong in a system's files, so that all of it is told at once.</summary>
internal sealed class FindingList
{
    private readonly List<Finding> _all = [];

    /// <summary>Whether nothing may be run.</summary>
    public bool HasErrors => ErrorCount > 0;

    public int ErrorCount { get; private set; }

    /// <summary>By file and place, each once.</summary>
    public IReadOnlyList<Finding> Sorted() =>
        [.. _all.Distinct().OrderBy(f => f.File, StringComparer.Ordinal).ThenBy(f => f.Line).ThenBy(f => f.Column).ThenBy(f => f.Code, StringComparer.Ordinal).ThenBy(f => f.Message, StringComparer.Ordinal)];

    public void Error(string code, YamlNode at, string message) => Error(code, at.File, at.Line, at.Column, message);

    public void Error(string code, string file, int line, int column, string message)
    {
        ErrorCount++;
        _all.Add(new Finding(code, Severity.Error, file, line, column, WithRemedy(code, message)));
    }

    public void Warning(string code, YamlNode at, string message) => _all.Add(new Finding(code, Severity.Warning, at.File, at.Line, at.Column, WithRemedy(code, message)));

    public void Warning(string code, string file, int line, int column, string message) => _all.Add(new Finding(code, Severity.Warning, file, line, column, WithRemedy(code, message)));

    // Every finding says what to do, or lists what is allowed in parentheses at its end: where its own words do neither, those of its code follow.
    private static string WithRemedy(string code, string message) => message.Contains("; ", StringComparison.Ordinal) || message.EndsWith(')') ? message : $"{message.TrimEnd('.')}; {Codes.RemedyOf(code)}";
}
