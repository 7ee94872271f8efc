using System.Collections.Immutable;
using System.Text;

namespace Loom.Core.Settings;

/// <summary>What one env file gives.</summary>
/// <param name="Variables">Its variables; of two lines with one name the last counts.</param>
/// <param name="Faults">What is wrong with it, with places; no text quotes a value.</param>
public sealed record EnvFileContent(ImmutableDictionary<string, string> Variables, ImmutableArray<Fault> Faults)
{
    /// <summary>Reads a file.</summary>
    /// <param name="files">The disk.</param>
    /// <param name="path">Absolute path.</param>
    /// <param name="shown">The path as messages show it.</param>
    /// <returns>Null when there is no such file.</returns>
    public static EnvFileContent? Read(ISettingsFiles files, string path, string shown)
    {
        if (files.Read(path) is not { } file)
        {
            return null;
        }

        if (file.Error is not null)
        {
            return new EnvFileContent(ImmutableDictionary<string, string>.Empty, [FaultAt(shown, 1, 1, FaultSeverity.Error, FaultCode.File, file.Error, null)]);
        }

        var parsed = EnvFileParser.Parse(Encoding.UTF8.GetString(file.Content.Span));
        var variables = ImmutableDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var entry in parsed.Entries)
        {
            variables[entry.Name] = entry.Value;
        }

        return new EnvFileContent(variables.ToImmutable(), [.. parsed.Faults.Select(f => FaultAt(shown, f.Line, f.Column, f.Severity, f.Code, f.Message, f.Fix))]);
    }

    internal static Fault FaultAt(string file, int line, int column, FaultSeverity severity, FaultCode code, string message, string? fix) => new()
    {
        Severity = severity,
        Code = code,
        Source = new SettingSource(SettingLayer.EnvFile, null, file, line, column),
        Message = message,
        Fix = fix,
    };
}
