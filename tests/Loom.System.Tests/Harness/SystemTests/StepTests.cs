using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.SystemTests;

/// <summary><c>loom harness run --step</c>, on a terminal and with a piped input.</summary>
public sealed class StepTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public StepTests()
    {
        File.WriteAllText(_folder["architecture.yaml"], """
            schema_version: "1.0.0"
            system: { name: steps, version: 1.0.0 }
            components:
              - { name: read, type: Source, uses: jsonl, config: { path: in.jsonl } }
              - { name: keep, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings: [ { from: read.out, to: keep.in } ]
            """);
        File.WriteAllLines(_folder["in.jsonl"], ["""{"n":1}""", """{"n":2}""", """{"n":3}"""]);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Lines_OfAPipe_ShowOneEventEach()
    {
        await using var all = Piped("''");
        (await all.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), all.Output);
        Steps(all.Output).Length.ShouldBe(1, "the end of the input lets it go on without stops");
        File.ReadAllLines(_folder["out.jsonl"]).Length.ShouldBe(3);

        await using var some = Piped("'\\n\\nq\\n' ; sleep 30");
        (await some.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), some.Output);
        var steps = Steps(some.Output);
        steps.Length.ShouldBe(3, some.Output);
        steps[0].ShouldBe("read.out  read:in.jsonl:0  {\"n\":1}");
        some.Output.ShouldContain("steps drained: ");
    }

    [Fact]
    public async Task Step_OfSecretFields_ShowsNoneAsTextAndAsJson()
    {
        File.WriteAllText(_folder["architecture.yaml"], """
            schema_version: "1.0.0"
            system: { name: steps, version: 1.0.0 }
            schemas: { person: { version: 1.0.0, schema: { properties: { ssn: { x-secret: true } } } } }
            components:
              - { name: read, type: Source, uses: jsonl, config: { path: in.jsonl } }
              - { name: keep, type: Sink, uses: jsonl_out, config: { path: out.jsonl }, ports: { inputs: [ { name: in, data_schema: { id: person, version: 1.0.0 } } ] } }
            bindings: [ { from: read.out, to: keep.in } ]
            """);
        var padding = new string('x', 75);
        File.WriteAllLines(_folder["in.jsonl"], [$$"""{"p":"{{padding}}","ssn":"078-05-1120"}"""]);
        foreach (var json in new[] { "", " --json" })
        {
            await using var run = Piped("'\n\n\n\n\n\n'", json);
            (await run.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), run.Output);
            run.Output.ShouldContain(padding);
            run.Output.ShouldContain("keep", customMessage: "the sink's event is shown too");
            run.Output.ShouldContain("[redacted");
            run.Output.ShouldNotContain("078");
        }

        File.ReadAllText(_folder["out.jsonl"]).ShouldContain("078-05-1120");
    }

    [Fact]
    public async Task Keys_OfATerminal_GoOnByOneEventAndQEndsInOrder()
    {
        using var terminal = new PseudoTerminal();
        await using var run = Child.Start(_folder.Path, terminal.Command(RunningLoom.Program, "harness", "run", "--step", "--unlocked", "--port", "0"));
        await Deadline.Until(() => terminal.Screen.Contains("read.out", StringComparison.Ordinal), "the first event is shown", RunningLoom.Deadline);
        Steps(terminal.Screen).Length.ShouldBe(1);
        terminal.Type(" ");
        await Deadline.Until(() => Steps(terminal.Screen).Length == 2, "a key goes on by one", RunningLoom.Deadline);
        terminal.Type("q");
        (await run.Exited.WaitAsync(RunningLoom.Deadline)).Code.ShouldBe(0, terminal.Screen);
        await Deadline.Until(() => terminal.Screen.Contains("steps drained: ", StringComparison.Ordinal), "its last words are on the screen");
    }

    private static string[] Steps(string output) => [.. output.Split('\n').Select(l => l.TrimEnd('\r')).Where(l => l.Contains("read:in.jsonl", StringComparison.Ordinal))];

    private Child Piped(string input, string options = "") => Child.Start(_folder.Path, ["bash", "-c", $"(printf {input}) | '{RunningLoom.Program}' harness run --step --fresh --unlocked --port 0{options}"]);
}
