using System.Text.Json;
using Loom.Harness.Commands;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Commands;

public sealed class ConformanceTests : IAsyncDisposable
{
    private const string PythonItem = """
        import loom_component as loom
        n = 0
        @loom.item
        def count(event):
            global n
            n += 1
            return {"n": n, "data": event.data}
        @loom.batch
        def many(events):
            return (count(e) for e in events)
        @loom.snapshot
        def s(): return n
        @loom.restore
        def r(state):
            global n
            n = state
        loom.run()
        """;

    private const string PythonSource = """
        import loom_component as loom
        at = 0
        @loom.source
        def numbers():
            global at
            while at < 5_000_000:
                at += 1
                yield {"i": at}
        @loom.snapshot
        def s(): return at
        @loom.restore
        def r(state):
            global at
            at = state or 0
        loom.run()
        """;

    private const string NodeItem = """
        import { component } from './loom-component.mjs';
        let n = 0;
        await component({
          item: (e) => ({ n: ++n, data: e.data }),
          batch: async function* (es) { for (const e of es) yield e.data; },
          snapshot: () => n, restore: (s) => { n = s; },
        });
        """;

    private const string NodeSource = """
        import { component } from './loom-component.mjs';
        let at = 0;
        await component({ source: async function* () { while (at < 5_000_000) { at++; yield { i: at }; } }, snapshot: () => at, restore: (s) => { at = s ?? 0; } });
        """;

    private readonly CommandStage _stage = new();

    public ValueTask DisposeAsync() => _stage.DisposeAsync();

    [Theory]
    [InlineData("c.py", PythonItem, false)]
    [InlineData("s.py", PythonSource, true)]
    [InlineData("c.mjs", NodeItem, false)]
    [InlineData("s.mjs", NodeSource, true)]
    [InlineData("upper.sh", "", false)]
    public async Task Run_ShippedHelpers_Conform(string file, string text, bool isSource)
    {
        var checks = await RunAsync(text.Length == 0 ? ["sh", file] : _stage.Program(file, text), isSource);
        checks.Where(c => c.Passed == false).ShouldBeEmpty();
        checks.Count(c => c.Passed == true).ShouldBeGreaterThan(4);
    }

    [Theory]
    [InlineData("echo hi; cat", "says ready", "")]
    [InlineData("echo '{\"type\":\"ready\",\"v\":1}'; echo loud; cat >/dev/null", "answers each item once", "nothing came")]
    [InlineData("echo '{\"type\":\"ready\",\"v\":1}'; read -r hello; read -r item; echo '{\"type\":\"done\",\"n\":77}'; cat >/dev/null", "answers each item once", "item 77, which is not in its hands")]
    public async Task Run_BrokenPrograms_FailTheCheckThatSaysWhy(string script, string check, string words)
    {
        var failed = (await RunAsync(["sh", "-c", script], isSource: false, until: check)).Single(c => c.Name == check);
        failed.Passed.ShouldBe(false);
        failed.Detail.ShouldContain(words);
    }

    private async Task<List<ConformanceCheck>> RunAsync(string[] command, bool isSource, string? until = null)
    {
        var request = new ConformanceRequest { Command = command, IsSource = isSource, Samples = [JsonSerializer.SerializeToElement("hello")] };
        var conformance = new Conformance(request, _stage.Supervisor, _stage.Folder, _stage.Around().Environment, TimeProvider.System);
        var checks = new List<ConformanceCheck>();
        await foreach (var check in conformance.RunAsync(TestContext.Current.CancellationToken))
        {
            checks.Add(check);
            if (check.Name == until)
            {
                break;
            }
        }

        return checks;
    }
}
