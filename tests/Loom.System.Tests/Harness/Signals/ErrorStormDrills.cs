using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Signals;

/// <summary>Item 14 of the specification: a storm of equal errors.</summary>
public sealed class ErrorStormDrills
{
    [Fact]
    public async Task Errors_AStormOfEqualOnes_EachALetterFewLogLinesOneSampleASecond()
    {
        var count = Drill.Count(10_000, 100_000);
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["architecture.yaml"], $$"""
            schema_version: "1.0.0"
            system: { name: storm, version: 1.0.0 }
            components:
              - { name: numbers, type: Source, uses: generate, config: { count: {{count}} } }
              - { name: check, type: Transformer, uses: filter, config: { condition: data.missing > 1 } }
              - { name: store, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings: [ { from: numbers.out, to: check.in }, { from: check.out, to: store.in } ]
            """);
        var time = System.Diagnostics.Stopwatch.StartNew();

        var (exit, output, error) = await RunningLoom.RunAsync(folder.Path, ["harness", "run", ".", "--unlocked", "--port", "0", "--json"]);

        exit.ShouldBe(0, error);
        JsonElement.Parse(output).GetProperty("components").EnumerateArray().Single(c => c.GetProperty("name").GetString() == "check").GetProperty("dead_lettered").GetInt64().ShouldBe(count);
        var letters = Directory.EnumerateFiles(folder[".loom/harness/storm/dead"], "*.jsonl").SelectMany(File.ReadLines);
        var (seen, samples) = (0, new HashSet<string>());
        foreach (var line in letters)
        {
            seen++;
            var at = line.IndexOf("\"sampled_at\":\"", StringComparison.Ordinal);
            samples.Add(line.Substring(at + 14, 19));
        }

        seen.ShouldBe(count);
        samples.Count.ShouldBeLessThanOrEqualTo((int)time.Elapsed.TotalSeconds + 2);
        var lines = error.Split('\n').Count(l => l.Length > 0);
        lines.ShouldBeLessThan(30 + ((int)time.Elapsed.TotalSeconds / 5), error);
        error.ShouldContain("more like it");
        Drill.Report("storm of equal errors", seen, count, $"{samples.Count} resource samples and {lines} log lines in {time.Elapsed.TotalSeconds:0.0} s");
    }
}
