using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.SystemTests;

/// <summary><c>loom harness run --watch</c>: a save that is right restarts the whole system, one that is wrong does not, and no event is lost or doubled on the way.</summary>
public sealed class WatchTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public WatchTests()
    {
        Directory.CreateDirectory(_folder["schemas"]);
        File.WriteAllText(_folder["schemas/n.json"], """{"type":"object","required":["n"]}""");
        Save(by: 10);
        File.WriteAllText(_folder["in.jsonl"], "");
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Save_ThatIsRight_RestartsTheWholeSystemAndOneThatIsWrongDoesNot()
    {
        await using var run = Child.Start(_folder.Path, [RunningLoom.Program, "harness", "run", "--watch", "--port", "0"]);
        await SeenAsync(run, "health and metrics", 1);
        var address = Line(run, "health and metrics");
        Append(1);
        await ReadAsync(1);
        JsonElement.Parse((await LoomAsync("ps", "--json")).Out).GetProperty("health").GetProperty("unlocked").GetBoolean().ShouldBeTrue();

        Save(by: 100);
        await SeenAsync(run, "changed: architecture.yaml; whole system restarted", 1);
        await SeenAsync(run, "health and metrics", 2);
        run.Output.ShouldContain("watched drained: 1 read");
        run.Output.Split('\n').Where(l => l.StartsWith("health and metrics", StringComparison.Ordinal)).ShouldAllBe(l => l == address, "the address stays");
        Append(2);
        await ReadAsync(1);

        Replace("architecture.yaml", "system: { name: watched\n");
        await SeenAsync(run, "the running system stays as it is", 1);
        run.Output.ShouldContain("architecture.yaml:2:1: error LH102");
        Append(3);
        await ReadAsync(2);

        Save(by: 100);
        await SeenAsync(run, "whole system restarted", 2);
        await SeenAsync(run, "health and metrics", 3);
        Replace("schemas/n.json", """{"type":"object","required":["n"],"properties":{"n":{"type":"integer"}}}""");
        await SeenAsync(run, "changed: schemas/n.json; whole system restarted", 1);
        await SeenAsync(run, "health and metrics", 4);
        Append(4);
        await ReadAsync(1);
        run.Signal(15);
        (await run.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), run.Output);
        File.ReadAllLines(_folder["out.jsonl"]).ShouldBe(["""{"n":1,"m":10}""", """{"n":2,"m":200}""", """{"n":3,"m":300}""", """{"n":4,"m":400}"""]);
    }

    [Fact]
    public async Task Files_ThatAreWrongFromTheStart_AreWaitedFor()
    {
        File.WriteAllText(_folder["architecture.yaml"], "components: []\n");
        await using var run = Child.Start(_folder.Path, [RunningLoom.Program, "harness", "run", "--watch", "--port", "0"]);
        await SeenAsync(run, "waiting for a change", 1);
        Save(by: 10);
        await SeenAsync(run, "health and metrics", 1);
        (await LoomAsync("drain")).Exit.ShouldBe(0);
        (await run.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), run.Output);
    }

    [Fact]
    public async Task SchemaThatIsWrongOrMissingFromTheStart_ItsMendingIsSeen()
    {
        File.Delete(_folder["schemas/n.json"]);
        await using var run = Child.Start(_folder.Path, [RunningLoom.Program, "harness", "run", "--watch", "--port", "0"]);
        await SeenAsync(run, "waiting for a change", 1);
        File.WriteAllText(_folder["schemas/n.json"], "{");
        await SeenAsync(run, "changed: schemas/n.json; not started", 1);
        File.WriteAllText(_folder["schemas/n.json"], """{"type":"object","required":["n"]}""");
        await SeenAsync(run, "health and metrics", 1);
        (await LoomAsync("drain")).Exit.ShouldBe(0);
        (await run.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), run.Output);
    }

    private static Task SeenAsync(Child run, string text, int times) => Deadline.Until(
        () => run.Output.Split(text).Length > times || (run.Exited.IsCompleted ? throw new InvalidOperationException(run.Output) : false), $"{times} times: {text}", RunningLoom.Deadline);

    private static string Line(Child run, string text) => run.Output.Split('\n').First(l => l.StartsWith(text, StringComparison.Ordinal));

    // How many the present run has taken; counted anew by each.
    private Task ReadAsync(int count) => Deadline.Until(
        () => LoomAsync("ps", "--json").GetAwaiter().GetResult().Out.Contains($"\"name\":\"read\",\"state\":\"running\",\"reason\":null,\"taken\":{count}", StringComparison.Ordinal), $"{count} read", RunningLoom.Deadline);

    private void Append(int n) => File.AppendAllText(_folder["in.jsonl"], $$"""{"n":{{n}}}""" + "\n");

    private Task<(int Exit, string Out, string Err)> LoomAsync(params string[] arguments) => RunningLoom.RunAsync(_folder.Path, ["harness", .. arguments]);

    // Written beside and renamed, as editors do: a file that is written in its place is empty for a moment, and is looked at then.
    private void Replace(string file, string text)
    {
        File.WriteAllText(_folder["written.new"], text);
        File.Move(_folder["written.new"], _folder[file], overwrite: true);
    }

    private void Save(int by)
    {
        Replace("architecture.yaml", $$"""
            schema_version: "1.0.0"
            system: { name: watched, version: 1.0.0 }
            schemas: { n: { version: 1.0.0, file: schemas/n.json } }
            components:
              - { name: read, type: Source, uses: jsonl, config: { path: in.jsonl, follow: true, poll_ms: 50 } }
              - { name: times, type: Transformer, uses: map, config: { set: { m: "data.n * {{by}}" } }, ports: { inputs: [ { name: in, data_schema: { id: n, version: 1.0.0 } } ] } }
              - { name: keep, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings:
              - { from: read.out, to: times.in }
              - { from: times.out, to: keep.in }
            """);
    }
}
