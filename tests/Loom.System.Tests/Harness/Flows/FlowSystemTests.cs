using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Flows;

/// <summary>Systems in YAML with loops, control and streams with rules, by the real program.</summary>
public sealed class FlowSystemTests
{
    // Each event goes round until it has been three times; what comes out says how often.
    private const string Loop = """
        schema_version: "1.0.0"
        system: { name: rounds, version: 1.0.0 }
        components:
          - { name: make, type: Source, uses: generate, config: { count: 5000 } }
          - { name: round, type: Transformer, uses: map, config: { set: { rounds: "has(data.rounds) ? data.rounds + 1 : 1" } } }
          - { name: again, type: Router, uses: route, config: { rules: [ { port: back, when: data.rounds < 3 } ], default: done } }
          - { name: steer, type: Controller, uses: rules, config: { rules: [ { when: "memory_bytes > 0", component: make, do: { op: set_rate, rate: 1000000 } } ] } }
          - { name: keep, type: Sink, uses: jsonl_out, config: { path: out/all.jsonl } }
        bindings:
          - { from: make.out, to: round.in, buffer: 8, qos: { ttl_ms: 600000 } }
          - { from: round.out, to: again.in, buffer: 8 }
          - { from: again.back, to: round.in, feedback: true, max_in_flight: 16 }
          - { from: again.done, to: keep.in, overflow: spill }
          - { from: steer.control, to: make.control }
        """;

    [Fact]
    public async Task Run_ALoop_EveryEventComesOutAfterThreeRounds()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["architecture.yaml"], Loop, TestContext.Current.CancellationToken);
        var check = await RunningLoom.RunAsync(folder.Path, ["harness", "check"]);
        check.Out.ShouldNotContain("error");
        (await RunningLoom.RunAsync(folder.Path, ["harness", "lock"])).Exit.ShouldBe(0);
        var (exit, output, error) = await RunningLoom.RunAsync(folder.Path, ["harness", "run", "--port", "0", "--json"]);
        exit.ShouldBe(0, output + error);
        var kept = (await File.ReadAllLinesAsync(folder["out/all.jsonl"], TestContext.Current.CancellationToken)).Select(l => JsonElement.Parse(l)).ToList();
        kept.Select(e => e.GetProperty("n").GetInt64()).Order().ShouldBe(Enumerable.Range(0, 5000).Select(n => (long)n));
        kept.ShouldAllBe(e => e.GetProperty("rounds").GetInt64() == 3);
    }

    [Fact]
    public async Task Check_FeedbackIntoAConcatenatedInput_SaysWhyNot()
    {
        using var folder = new TempFolder();
        var wrong = Loop.Replace("set: { rounds: \"has(data.rounds) ? data.rounds + 1 : 1\" } }", "set: { rounds: \"1\" } }, ports: { inputs: [ { name: in, fan_in: concatenate } ] }", StringComparison.Ordinal);
        await File.WriteAllTextAsync(folder["architecture.yaml"], wrong, TestContext.Current.CancellationToken);
        var check = await RunningLoom.RunAsync(folder.Path, ["harness", "check"]);
        check.Exit.ShouldBe(2);
        (check.Out + check.Err).ShouldContain("LH212");
    }
}
