using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Cli.Terminal;
using Loom.Harness.Tests;
using Loom.Harness.Tests.Running;

namespace Loom.Cli.Harness;

/// <summary>Results of tests as people read them while they come, and as one document under <c>--json</c>.</summary>
internal sealed class TestText(Terminal.Terminal terminal)
{
    public void Begin(TestFile file)
    {
        if (!terminal.Json)
        {
            terminal.Out.WriteLine(file.Name);
        }
    }

    public void Tell(CaseResult result)
    {
        foreach (var file in result.Updated)
        {
            terminal.Note($"  wrote {file}");
        }

        if (terminal.Json)
        {
            return;
        }

        var word = result.Passed ? terminal.Paint(Tone.Good, "ok  ") : terminal.Paint(Tone.Bad, "FAIL");
        terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {word} {result.Case.Name} ({result.Took.TotalMilliseconds:0} ms)"));
        foreach (var line in result.Differences.SelectMany(d => d.Lines()))
        {
            terminal.Out.WriteLine($"       {line}");
        }

        foreach (var note in result.Notes)
        {
            terminal.Out.WriteLine(terminal.Paint(Tone.Dim, $"       {note}"));
        }
    }

    public void End(IReadOnlyList<(TestFile File, IReadOnlyList<CaseResult> Results)> all)
    {
        var cases = all.SelectMany(a => a.Results).ToList();
        var failed = cases.Count(c => !c.Passed);
        if (terminal.Json)
        {
            terminal.Out.WriteLine(JsonSerializer.Serialize(Report(all, cases.Count, failed), TestJson.Default.TestReport));
            return;
        }

        terminal.Note(failed == 0 ? $"{cases.Count} passed" : $"{failed} of {cases.Count} failed");
    }

    private static TestReport Report(IReadOnlyList<(TestFile File, IReadOnlyList<CaseResult> Results)> all, int cases, int failed) => new(
        failed == 0,
        cases,
        failed,
        [.. all.SelectMany(a => a.Results.Select(r => new TestRow(
            a.File.Name,
            r.Case.Place.Line,
            r.Case.Name,
            r.Passed,
            (long)r.Took.TotalMilliseconds,
            [.. r.Differences.Select(d => new TestDifference(d.Place.File, d.Place.Line, d.Place.Column, d.Text, d.Expected, d.Actual))],
            [.. r.Notes],
            [.. r.Updated])))]);
}

/// <summary>What <c>test</c> says under <c>--json</c>.</summary>
internal sealed record TestReport(bool Ok, int Cases, int Failed, TestRow[] Results);

/// <summary>One case.</summary>
internal sealed record TestRow(string File, int Line, string Name, bool Passed, long Ms, TestDifference[] Differences, string[] Notes, string[] Updated);

/// <summary>Something that is not as expected.</summary>
internal sealed record TestDifference(string File, int Line, int Column, string Text, string? Expected, string? Actual);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(TestReport))]
internal sealed partial class TestJson : JsonSerializerContext;
