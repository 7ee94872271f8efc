using Loom.SystemTests.Clients;
using Loom.Testing;
using Microsoft.Data.Sqlite;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Ends;

/// <summary>A system whose models are asked through the gateway of a running project.</summary>
public sealed class GatewayModelTests(MockProject project) : IClassFixture<MockProject>
{
    [Fact]
    public async Task Enrich_ThroughTheGateway_LabelsEachRecordAndMarksThemAsMock()
    {
        var folder = Path.Combine(project.Loom.Folder, "enrich");
        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, "architecture.yaml"), """
            schema_version: "1.0.0"
            system: { name: enrich, version: 1.0.0 }
            components:
              - { name: records, type: Source, uses: jsonl, config: { path: in.jsonl } }
              - { name: label, type: Model, uses: llm, config: { model: demo, prompt: "Label: {{ $.text }}", max_tokens: 8 } }
              - { name: vector, type: Model, uses: embed, config: { model: demo } }
              - { name: store, type: Sink, uses: sqlite_out, config: { table: labels } }
            bindings:
              - { from: records.out, to: label.in }
              - { from: label.out, to: vector.in }
              - { from: vector.out, to: store.in }
            """);
        await File.WriteAllLinesAsync(Path.Combine(folder, "in.jsonl"), Enumerable.Range(0, 40).Select(n => $$"""{"n":{{n}},"text":"record {{n}}"}"""));
        var (exit, output, error) = await RunningLoom.RunAsync(project.Loom.Folder, ["harness", "run", "enrich", "--unlocked"]);
        exit.ShouldBe(0, output + error);
        using var database = new SqliteConnection($"Data Source={Path.Combine(folder, "data.db")};Pooling=False");
        database.Open();
        using var command = database.CreateCommand();
        command.CommandText = "SELECT count(*), count(DISTINCT n), sum(_mock), sum(length(answer) > 0), sum(length(embedding) > 0) FROM labels";
        using var row = command.ExecuteReader();
        row.Read();
        Enumerable.Range(0, 5).Select(row.GetInt64).ShouldBe([40, 40, 40, 40, 40], error);
    }

    [Fact]
    public async Task UnknownModel_HoldsTheComponentAndKeepsTheItem()
    {
        var folder = Path.Combine(project.Loom.Folder, "unknown");
        Directory.CreateDirectory(folder);
        await File.WriteAllTextAsync(Path.Combine(folder, "architecture.yaml"), """
            schema_version: "1.0.0"
            system: { name: unknown, version: 1.0.0 }
            components:
              - { name: records, type: Source, uses: jsonl, config: { path: in.jsonl } }
              - { name: label, type: Model, uses: llm, config: { model: no-such-model } }
              - { name: out, type: Sink, uses: discard }
            bindings:
              - { from: records.out, to: label.in }
              - { from: label.out, to: out.in }
            """);
        await File.WriteAllTextAsync(Path.Combine(folder, "in.jsonl"), "\"one\"\n\"two\"\n");
        var (exit, output, error) = await RunningLoom.RunAsync(project.Loom.Folder, ["harness", "run", "unknown", "--unlocked", "--duration", "3s"]);
        // It cannot drain what it holds: the work is abandoned, and nothing is dead-lettered.
        exit.ShouldNotBe(0, output + error);
        var dead = Path.Combine(folder, ".loom", "harness", "unknown", "dead", "label.jsonl");
        (File.Exists(dead) ? await File.ReadAllTextAsync(dead) : "").ShouldBeEmpty();
    }
}
