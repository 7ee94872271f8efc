using System.Globalization;
using System.Text;
using Loom.Core.Settings;

namespace Loom.Cli.Config;

/// <summary>The one shape in which configuration faults are told to people.</summary>
public static class FaultText
{
    /// <summary>Head line and faults, each line ended by LF.</summary>
    /// <param name="result">What was loaded.</param>
    /// <param name="starting">Whether a start was asked for, so that the head says nothing was started.</param>
    /// <param name="color">Whether to colour the severity.</param>
    public static string Write(LoadResult result, bool starting, bool color = false)
    {
        var text = new StringBuilder();
        var errors = result.Faults.Count(f => f.Severity == FaultSeverity.Error);
        var warnings = result.Faults.Length - errors;
        text.Append("loom: configuration: ").Append(Count(errors, warnings));
        if (starting && errors > 0)
        {
            text.Append("; nothing was started");
        }

        text.Append(CultureInfo.InvariantCulture, $" (profile {(result.Snapshot.Profile == SettingsProfile.Cloud ? "cloud" : "home")}, mode {(result.Snapshot.TestMode ? "test" : "production")})\n");
        string? reason = null;
        foreach (var fault in result.Faults)
        {
            // One reason for several missing settings is said once.
            var repeated = fault.Code == FaultCode.Missing && string.Equals(reason, fault.Message, StringComparison.Ordinal);
            One(text, repeated ? fault with { Message = "" } : fault, color);
            reason = fault.Code == FaultCode.Missing ? fault.Message : reason;
        }

        return text.ToString();
    }

    private static string Count(int errors, int warnings)
    {
        var parts = new List<string>(2);
        if (errors > 0)
        {
            parts.Add(errors == 1 ? "1 error" : string.Create(CultureInfo.InvariantCulture, $"{errors} errors"));
        }

        if (warnings > 0)
        {
            parts.Add(warnings == 1 ? "1 warning" : string.Create(CultureInfo.InvariantCulture, $"{warnings} warnings"));
        }

        return parts.Count == 0 ? "no errors" : string.Join(", ", parts);
    }

    private static void One(StringBuilder text, Fault fault, bool color)
    {
        var severity = fault.Severity == FaultSeverity.Error ? "error" : "warning";
        if (color)
        {
            severity = $"\e[{(fault.Severity == FaultSeverity.Error ? 31 : 33)}m{severity}\e[0m";
        }

        text.Append(CultureInfo.InvariantCulture, $"{Place(fault)}: {severity} CFG{(int)fault.Code:000}");
        Append(text, fault.Key);
        Append(text, fault.Line is null ? Given(fault) : null);
        text.Append('\n');
        if (fault.Line is { } line)
        {
            var number = fault.Source!.Line.ToString(CultureInfo.InvariantCulture);
            text.Append(CultureInfo.InvariantCulture, $"  {number} | {line}\n");
            text.Append(' ', number.Length + 2).Append(" | ").Append(' ', fault.Caret - 1).Append('^', fault.Length).Append(' ').Append(fault.Message).Append('\n');
        }
        else if (fault.Message.Length > 0)
        {
            text.Append("  ").Append(fault.Message).Append('\n');
        }

        if (fault.Fix is { } fix)
        {
            text.Append("  fix: ").Append(fix).Append('\n');
        }
    }

    private static string Place(Fault fault) => fault.Source switch
    {
        null => "missing",
        { File: { } file, Line: 0 } => file,
        { File: { } file, Line: var line, Column: var column } => string.Create(CultureInfo.InvariantCulture, $"{file}:{line}:{column}"),
        { Layer: var layer } => SourceText.Layer(layer),
    };

    private static string? Given(Fault fault) => fault.Variable is null || fault.Value is null ? fault.Variable
        : fault.Value.StartsWith("[redacted:", StringComparison.Ordinal) || fault.Value.StartsWith("token:", StringComparison.Ordinal) ? $"{fault.Variable}={fault.Value}"
        : $"{fault.Variable}=\"{fault.Value}\"";

    private static void Append(StringBuilder text, string? part)
    {
        if (part is not null)
        {
            text.Append(' ').Append(part);
        }
    }
}
