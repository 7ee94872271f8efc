using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Cli.Terminal;
using Loom.Harness.Architecture;

namespace Loom.Cli.Harness;

/// <summary>Findings as people, editors and scripts read them.</summary>
internal static class FindingText
{
    public static void Write(Terminal.Terminal terminal, TextWriter into, IEnumerable<Finding> findings)
    {
        foreach (var finding in findings)
        {
            into.WriteLine(terminal.Paint(finding.Severity == Severity.Error ? Tone.Bad : Tone.Busy, finding.ToString()));
        }
    }

    /// <summary>Findings as rows of a JSON document.</summary>
    public static FindingRow[] Rows(IEnumerable<Finding> findings) =>
        [.. findings.Select(f => new FindingRow(f.Code, f.Severity == Severity.Error ? "error" : "warning", f.File, f.Line > 0 ? f.Line : null, f.Line > 0 ? f.Column : null, f.Message))];

    /// <summary>The failure that ends a verb: how many errors there are; all of them under <c>--json</c>.</summary>
    public static CliError Error(Terminal.Terminal terminal, IReadOnlyList<Finding> findings, int exit, string fix)
    {
        var errors = findings.Where(f => f.Severity == Severity.Error).ToList();
        var first = errors[0];
        var message = terminal.Json ? first.ToString() : errors.Count == 1 ? "there is 1 error in the system's files" : $"there are {errors.Count} errors in the system's files";
        return new CliError(exit, first.Code, message, fix)
        {
            Place = new CliErrorPlace(null, first.File, first.Line > 0 ? first.Line : null, first.Line > 0 ? first.Column : null),
            Errors = JsonSerializer.SerializeToElement(Rows(errors), FindingJson.Default.FindingRowArray),
        };
    }
}

/// <summary>A finding in JSON.</summary>
internal sealed record FindingRow(string Code, string Severity, string File, int? Line, int? Column, string Message);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(FindingRow[]))]
internal sealed partial class FindingJson : JsonSerializerContext;
