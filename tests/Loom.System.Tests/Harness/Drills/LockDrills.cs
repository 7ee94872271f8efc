using System.Text.Json.Nodes;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>The drill "lock mismatch" of section 17: each input altered in turn by one byte, capabilities reordered in the lock. A run refuses with exit 3 and names the difference.</summary>
public sealed class LockDrills
{
    [Fact]
    public async Task EachInputAlteredInTurn_ExitThreeAndTheDifferenceNamed()
    {
        using var folder = new TempFolder();
        await WriteAsync(folder);
        (await RunAsync(folder, "lock")).Exit.ShouldBe(0);
        var agreed = await RunAsync(folder, "run");
        agreed.Exit.ShouldBe(0, agreed.Err);
        var (passed, all) = (0, 0);
        foreach (var input in new[] { "architecture.yaml", "schemas/doc.json", "part.py", "loom_component.py" })
        {
            all++;
            var path = folder["sys/" + input];
            var before = await File.ReadAllBytesAsync(path);
            await File.WriteAllBytesAsync(path, [.. before, (byte)'\n']);
            await RefusedAsync(folder, input);
            await File.WriteAllBytesAsync(path, before);
            passed++;
        }

        all++;
        var lockFile = folder["sys/build.lock"];
        var text = await File.ReadAllTextAsync(lockFile);
        await File.WriteAllTextAsync(lockFile, Swapped(text));
        await RefusedAsync(folder, "part");
        await File.WriteAllTextAsync(lockFile, text);
        passed++;

        all++;
        File.Delete(lockFile);
        await RefusedAsync(folder, "loom harness lock");
        await File.WriteAllTextAsync(lockFile, text);
        passed++;

        (await RunAsync(folder, "run")).Exit.ShouldBe(0, "all is as agreed again");
        Drill.Report("lock mismatch", passed, all, "4 inputs, reordered capabilities, no lock: exit 3 and the difference named");
    }

    private static async Task RefusedAsync(TempFolder folder, string named)
    {
        var (exit, _, error) = await RunAsync(folder, "run");
        exit.ShouldBe(3, error);
        error.ShouldContain(named);
        error.ShouldContain("LH6");
    }

    private static string Swapped(string text)
    {
        var content = JsonNode.Parse(text)!;
        var chain = content["components"]!["part"]!["capabilities"]!.AsArray();
        var (retry, timeout) = (chain.Single(c => (string)c!["name"]! == "Retry")!, chain.Single(c => (string)c!["name"]! == "Timeout")!);
        var (at, to) = (chain.IndexOf(retry), chain.IndexOf(timeout));
        (chain[at], chain[to]) = (null, null);
        (chain[at], chain[to]) = (timeout, retry);
        return content.ToJsonString();
    }

    private static Task<(int Exit, string Out, string Err)> RunAsync(TempFolder folder, string verb) =>
        RunningLoom.RunAsync(folder.Path, verb == "run" ? ["harness", "run", "sys", "--port", "0", "--fresh"] : ["harness", verb, "sys"]);

    private static async Task WriteAsync(TempFolder folder)
    {
        Directory.CreateDirectory(folder["sys/schemas"]);
        File.Copy(Path.Combine(Repository.Root, "sdk", "harness", "python", "loom_component.py"), folder["sys/loom_component.py"]);
        await File.WriteAllTextAsync(folder["sys/part.py"], "import loom_component as loom\n@loom.item\ndef part(event):\n    return event.data\nloom.run()\n");
        await File.WriteAllTextAsync(folder["sys/schemas/doc.json"], """{ "type": "object", "required": ["n"] }""");
        await File.WriteAllTextAsync(folder["sys/in.jsonl"], "{\"n\":1}\n");
        await File.WriteAllTextAsync(folder["sys/architecture.yaml"], """
            schema_version: "1.0.0"
            system: { name: agreed, version: 1.0.0 }
            schemas: { doc: { version: 1.0.0, file: schemas/doc.json } }
            components:
              - { name: src, type: Source, uses: jsonl, config: { path: in.jsonl } }
              - name: part
                type: Transformer
                uses: { command: [python3, part.py], files: [part.py, loom_component.py] }
                ports: { inputs: [ { name: in, data_schema: { id: doc, version: 1.0.0 } } ], outputs: [ { name: out } ] }
                capabilities: [ Retry, Timeout ]
              - { name: lines, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings:
              - { from: src.out, to: part.in }
              - { from: part.out, to: lines.in }
            """);
    }
}
