using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Signals;

/// <summary>A system is run by one process at a time.</summary>
public sealed class OneRunTests
{
    private const string Copy = """
        schema_version: "1.0.0"
        system: { name: copy, version: 1.0.0 }
        components:
          - { name: lines, type: Source, uses: jsonl, config: { path: in.jsonl, follow: true } }
          - { name: store, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
        bindings: [ { from: lines.out, to: store.in } ]
        """;

    [Fact]
    public async Task Run_AnotherRunOfTheSameSystem_IsRefusedAndTheFirstGoesOn()
    {
        await using var system = await RunningSystem.StartAsync(Copy, folder => File.WriteAllText(folder["in.jsonl"], "{\"n\":1}\n"));
        var (exit, _, error) = await system.TypeAsync("run", ".", "--unlocked", "--port", "0");
        exit.ShouldBe(1);
        error.ShouldContain("system \"copy\" runs already");
        (await system.TypeAsync("ps")).Out.ShouldContain("copy");
        await RunningSystem.UntilAsync(async () => (await system.GetAsync("/components/lines")).GetProperty("taken").GetInt64() == 1, "the line is read");
        (await system.DrainAsync()).ShouldBe(0, system.Err);
        File.ReadAllLines(system.Folder["out.jsonl"]).Length.ShouldBe(1);
    }
}
