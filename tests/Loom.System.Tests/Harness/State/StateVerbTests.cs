using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.State;

/// <summary>What a person does about checkpoints and dead letters: the program itself, on a system that ran.</summary>
public sealed class StateVerbTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();

    public async ValueTask InitializeAsync()
    {
        await File.WriteAllTextAsync(_folder["words.jsonl"], string.Concat(Enumerable.Range(0, 20).Select(i => i % 5 == 0 ? $"{i}\n" : $"\"word {i}\"\n")));
        await File.WriteAllTextAsync(_folder["shout.py"], """
            import loom_component as loom
            @loom.item
            def shout(event):
                if not isinstance(event.data, str):
                    raise loom.ItemError("not_a_string", f"{event.data} is no string")
                return event.data.upper()
            loom.run()
            """);
        File.Copy(Path.Combine(Repository.Root, "sdk", "harness", "python", "loom_component.py"), _folder["loom_component.py"]);
        await File.WriteAllTextAsync(_folder["architecture.yaml"], """
            schema_version: "1.0.0"
            system: { name: shout, version: 1.0.0, description: Shouts }
            components:
              - { name: words, type: Source, uses: jsonl, config: { path: words.jsonl } }
              - name: shout
                type: Transformer
                uses: { command: [python3, shout.py], files: [shout.py] }
                ports: { inputs: [ { name: in } ], outputs: [ { name: out } ] }
              - { name: out, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings:
              - { from: words.out, to: shout.in }
              - { from: shout.out, to: out.in }
            """);
        var (exit, _, told) = await Loom("run", ".", "--unlocked");
        exit.ShouldBe(0, told);
    }

    public ValueTask DisposeAsync()
    {
        _folder.Dispose();
        return default;
    }

    [Fact]
    public async Task Checkpoints_AfterARun_AreListedVerifiedAndDamageIsFound()
    {
        var (exit, list, told) = await Loom("checkpoints", "--json");
        exit.ShouldBe(0, told);
        var checkpoint = JsonDocument.Parse(list).RootElement.GetProperty("checkpoints")[0];
        checkpoint.GetProperty("status").GetString().ShouldBe("complete");
        JsonDocument.Parse(list).RootElement.GetProperty("store").GetString()!.ShouldStartWith("SQLite file ");
        (await Loom("checkpoints", "verify")).Exit.ShouldBe(0);

        var file = _folder[".loom/harness/shout/state.db"];
        var bytes = await File.ReadAllBytesAsync(file);
        var at = bytes.AsSpan().LastIndexOf("graph_hash"u8);
        at.ShouldBeGreaterThan(0);
        bytes[at] ^= 1;
        await File.WriteAllBytesAsync(file, bytes);
        var (damaged, text, _) = await Loom("checkpoints", "verify");
        damaged.ShouldBe(1);
        text.ShouldContain("does not have the SHA-256 it was written with");
    }

    [Fact]
    public async Task DeadLetters_AfterARun_AreListedShownExportedAndPurged()
    {
        var (exit, text, told) = await Loom("dead-letters", "list", "--json");
        exit.ShouldBe(0, told);
        var list = JsonDocument.Parse(text).RootElement;
        list.GetProperty("total").GetInt64().ShouldBe(4);
        var letter = list.GetProperty("letters")[0];
        letter.GetProperty("code").GetString().ShouldBe("not_a_string");
        letter.GetProperty("component").GetString().ShouldBe("shout");
        letter.GetProperty("port").GetString().ShouldBe("in");

        var shown = JsonDocument.Parse((await Loom("dead-letters", "show", letter.GetProperty("error_id").GetString()!, "--json")).Out).RootElement;
        (shown.GetProperty("payload").GetInt32() % 5).ShouldBe(0);
        (await Loom("dead-letters", "show", "nonsense")).Exit.ShouldBe(2);

        (await Loom("dead-letters", "export", "--to", "letters.jsonl")).Exit.ShouldBe(0);
        (await File.ReadAllLinesAsync(_folder["letters.jsonl"])).Select(l => JsonDocument.Parse(l).RootElement.GetProperty("payload").GetInt32()).ShouldBe([0, 5, 10, 15]);
        File.GetUnixFileMode(_folder["letters.jsonl"]).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);

        JsonDocument.Parse((await Loom("dead-letters", "purge", "--component", "shout", "--json")).Out).RootElement.GetProperty("purged").GetInt64().ShouldBe(4);
        (await Loom("dead-letters", "list")).Err.ShouldContain("there are no dead letters");
    }

    private async Task<(int Exit, string Out, string Err)> Loom(params string[] arguments) => await RunningLoom.RunAsync(_folder.Path, ["harness", .. arguments]);
}
