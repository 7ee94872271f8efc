using System.Text.Json;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Commands;

/// <summary>One graph, the same job done by a C# class, by Python, by Node and by shell: the same result, through the program as a user runs it.</summary>
public sealed class SameJobTests
{
    private const string Python = """
        import loom_component as loom
        @loom.item
        def upper(event):
            return event.data.upper()
        loom.run()
        """;

    private const string Node = """
        import { component } from './loom-component.mjs';
        await component({ item: (event) => event.data.toUpperCase() });
        """;

    private const string CSharp = """
        using System.Text.Json;
        using Loom.Components;
        namespace Acme;
        [Component("acme.upper", Type = ComponentType.Transformer)]
        public sealed class Upper : Transformer<JsonElement, JsonElement>
        {
            protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) =>
                output.SendAsync(e.Derive(JsonElement.Parse($"\"{e.Data.GetString()!.ToUpperInvariant()}\"")), ct);
        }
        """;

    [Theory]
    [InlineData("{ class: Acme.Upper, project: src/Acme.csproj }")]
    [InlineData("{ command: [python3, upper.py], files: [upper.py, loom_component.py] }")]
    [InlineData("{ command: [node, upper.mjs], files: [upper.mjs, loom-component.mjs] }")]
    [InlineData("{ command: [sh, upper.sh], files: [upper.sh] }")]
    public async Task Run_SameGraph_SameResultInEveryLanguage(string uses)
    {
        await using var stage = new CommandStage();
        stage.Program("upper.py", Python);
        stage.Program("upper.mjs", Node);
        await ProjectAsync(stage.Folder);
        await File.WriteAllLinesAsync(Path.Combine(stage.Folder, "words.jsonl"), Enumerable.Range(0, 500).Select(i => JsonSerializer.Serialize($"word {i}")));
        await File.WriteAllTextAsync(Path.Combine(stage.Folder, "architecture.yaml"), $$"""
            schema_version: "1.0.0"
            system: { name: shout, version: 1.0.0, description: Shouts }
            components:
              - { name: words, type: Source, uses: jsonl, config: { path: words.jsonl } }
              - name: shout
                type: Transformer
                uses: {{uses}}
                {{(uses.Contains("command", StringComparison.Ordinal) ? "ports: { inputs: [ { name: in } ], outputs: [ { name: out } ] }" : "config: {}")}}
              - { name: out, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings:
              - { from: words.out, to: shout.in }
              - { from: shout.out, to: out.in }
            """);

        // A project is built by `lock` and `check`.
        (await RunningLoom.RunAsync(stage.Folder, ["harness", "lock"])).Exit.ShouldBe(0);
        var (exit, _, told) = await RunningLoom.RunAsync(stage.Folder, ["harness", "run", ".", "--port", "0"]);
        exit.ShouldBe(0, told);
        var lines = await File.ReadAllLinesAsync(Path.Combine(stage.Folder, "out.jsonl"));
        lines.Length.ShouldBe(500, told);
        lines[..2].ShouldAllBe(l => l.Contains("WORD", StringComparison.Ordinal));
        lines.Select((l, i) => l.Contains($"WORD {i}", StringComparison.Ordinal)).ShouldAllBe(ok => ok);
    }

    private static async Task ProjectAsync(string folder)
    {
        Directory.CreateDirectory(Path.Combine(folder, "src"));
        var sdk = Path.Combine(Path.GetDirectoryName(RunningLoom.Program)!, "Loom.Sdk.dll");
        await File.WriteAllTextAsync(Path.Combine(folder, "src", "Upper.cs"), CSharp);
        await File.WriteAllTextAsync(Path.Combine(folder, "src", "Acme.csproj"), $"""
            <Project Sdk="Microsoft.NET.Sdk">
              <PropertyGroup><TargetFramework>net10.0</TargetFramework><Nullable>enable</Nullable><ImplicitUsings>enable</ImplicitUsings></PropertyGroup>
              <ItemGroup><Reference Include="{sdk}" /></ItemGroup>
            </Project>
            """);
    }
}
