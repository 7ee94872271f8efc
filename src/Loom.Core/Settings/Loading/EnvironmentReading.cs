using System.Collections.Immutable;
using System.Text;

namespace Loom.Core.Settings;

/// <summary>Reads the env files and merges them with the environment by name; the environment wins, among files the later one.</summary>
internal sealed class EnvironmentReading(LoadRequest request, FaultList faults)
{
    private readonly Dictionary<string, VariableValue> _merged = new(StringComparer.Ordinal);

    /// <summary>What the env files alone give.</summary>
    public ImmutableDictionary<string, string> OfFiles { get; private set; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Whether a listed file could not be read.</summary>
    public bool FileFailed { get; private set; }

    /// <param name="files">Env files as listed.</param>
    /// <param name="listedAt">What listed them, for a missing one; null = the default list.</param>
    public Dictionary<string, VariableValue> Read(IReadOnlyList<string> files, GivenValue? listedAt)
    {
        for (var i = 0; i < files.Count; i++)
        {
            ReadFile(files[i], i + 1, listedAt);
        }

        OfFiles = _merged.ToImmutableDictionary(v => v.Key, v => v.Value.Text, StringComparer.Ordinal);
        foreach (var (name, value) in request.Environment)
        {
            _merged[name] = new VariableValue(value, new SettingSource(SettingLayer.Environment, name), int.MaxValue);
        }

        return _merged;
    }

    private void ReadFile(string path, int order, GivenValue? listedAt)
    {
        var shown = ShownPath.Of(path, request.WorkingFolder);
        var file = request.Files.Read(path);
        if (file is null)
        {
            if (listedAt is not null && !string.Equals(Path.GetFileName(path), ".env", StringComparison.Ordinal))
            {
                FileFailed = true;
                faults.Add(Faults.Of(listedAt, FaultCode.File, $"there is no env file {shown}", "create it, or take it out of the list"));
            }

            return;
        }

        if (file.Error is not null)
        {
            FileFailed = true;
            faults.Add(FileFault(shown, 1, 1, order, FaultSeverity.Error, FaultCode.File, file.Error, null));
            return;
        }

        if (file.OthersCanRead)
        {
            faults.Add(FileFault(shown, 1, 1, order, FaultSeverity.Warning, FaultCode.File, "other users can read this file", $"chmod 600 {shown}"));
        }

        var parsed = EnvFileParser.Parse(Encoding.UTF8.GetString(file.Content.Span));
        foreach (var fault in parsed.Faults)
        {
            FileFailed |= fault.Severity == FaultSeverity.Error;
            faults.Add(FileFault(shown, fault.Line, fault.Column, order, fault.Severity, fault.Code, fault.Message, fault.Fix) with { Variable = fault.Name });
        }

        foreach (var entry in parsed.Entries)
        {
            _merged[entry.Name] = new VariableValue(entry.Value, new SettingSource(SettingLayer.EnvFile, entry.Name, shown, entry.Line, entry.Column), order);
        }
    }

    private static Fault FileFault(string file, int line, int column, int order, FaultSeverity severity, FaultCode code, string message, string? fix) =>
        EnvFileContent.FaultAt(file, line, column, severity, code, message, fix) with { FileOrder = order };
}

/// <summary>Paths as messages show them.</summary>
internal static class ShownPath
{
    /// <summary>Relative to the working folder where it lies below it, else absolute.</summary>
    public static string Of(string path, string workingFolder) =>
        path.StartsWith(workingFolder.TrimEnd('/') + "/", StringComparison.Ordinal) ? path[(workingFolder.TrimEnd('/').Length + 1)..] : path;
}
