using System.Text.Json;
using System.Xml.Linq;
using Loom.SystemTests.Harness.Samples;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.SystemTests;

/// <summary><c>loom harness test</c>, typed by a user: what it runs, what it says, how it ends, and what it leaves alone.</summary>
public sealed class TestVerbTests : IDisposable
{
    private const string Architecture = """
        schema_version: "1.0.0"
        system: { name: first, version: 0.1.0 }
        components:
          - { name: orders, type: Source, uses: jsonl, config: { path: data/orders.jsonl } }
          - { name: large, type: Transformer, uses: filter, config: { condition: data.amount >= 100 } }
          - { name: total, type: Transformer, uses: map, config: { set: { total: data.amount * data.count } } }
          - { name: store, type: Sink, uses: jsonl_out, config: { path: out/large.jsonl } }
        bindings:
          - { from: orders.out, to: large.in }
          - { from: large.out, to: total.in }
          - { from: total.out, to: store.in }
        """;

    private readonly TempFolder _folder = new();

    public TestVerbTests()
    {
        Write("architecture.yaml", Architecture);
        Write("data/orders.jsonl", """{"id":1,"amount":500,"count":2}""");
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Samples_EachHaveTestsThatPassAndLeaveNothing()
    {
        foreach (var name in SampleSystem.Names)
        {
            using var sample = new SampleSystem(name);
            var (exit, output, error) = await sample.RunAsync("test", "--json");
            exit.ShouldBe(0, output + error);
            JsonElement.Parse(output).GetProperty("cases").GetInt32().ShouldBeGreaterThanOrEqualTo(3, name);
            Directory.GetFileSystemEntries(sample.Folder).Select(e => Path.GetFileName(e)).ShouldNotContain(n => n == "out" || n == ".loom");
        }
    }

    [Fact]
    public async Task New_MakesASystemWhoseTestPasses()
    {
        (await LoomAsync("new", "mine")).Exit.ShouldBe(0);
        var (exit, output, error) = await LoomAsync("test", "mine");
        exit.ShouldBe(0, output + error);
        output.ShouldContain("ok   large orders get a total, small ones are left out");
    }

    [Fact]
    public async Task Filter_Completion_OffersNamesOfCases()
    {
        Write("a.test.yaml", "cases: [ { name: large orders pass }, { name: small ones do not } ]\n");
        Write("b.test.yaml", "cases: [ { name: not right in any other way, given: 7 }, 5 ]\n");
        Write("c.test.yaml", "no: [ yaml\n");
        const string typed = "loom harness test --filter ";
        var (exit, output, error) = await RunningLoom.RunAsync(_folder.Path, [$"[suggest:{typed.Length}]", typed]);
        exit.ShouldBe(0, error);
        output.Split('\n', StringSplitOptions.RemoveEmptyEntries).ShouldBe(["large orders pass", "not right in any other way", "small ones do not"], ignoreOrder: true);
    }

    [Fact]
    public async Task Failure_PrintsADifferenceWithFileAndLine()
    {
        Write("out/large.jsonl", "what the user has\n");
        Write("tests/orders.test.yaml", """
            system: ..
            cases:
              - name: large orders get a total
                given:
                  orders:
                    - { id: 1, amount: 40, count: 2 }
                    - { at: 1h, data: { id: 2, amount: 120, count: 3 } }
                    - { id: 3 }
                expect:
                  store.in: [ { id: 2, amount: 120, count: 3, total: 361 } ]
                  errors: [ { component: large, code: missing_field } ]
                  metrics: { "items_total{component=large}": 3 }
              - name: a slice alone
                only: [total]
                given: { total.in: [ { amount: 2, count: 3 } ] }
                match: subset
                expect: { total: [ { total: 6 } ] }
            """);
        var (exit, output, error) = await LoomAsync("test", "--junit", "results.xml");
        exit.ShouldBe(1, output + error);
        output.ShouldMatch(@"^tests/orders\.test\.yaml\n  FAIL large orders get a total \(\d+ ms\)\n");
        output.ShouldContain("""
                   tests/orders.test.yaml:10:19: store.in: event 1 differs at total
                     - {"id":2,"amount":120,"count":3,"total":361}
                     + {"id":2,"amount":120,"count":3,"total":360}
                   1 event failed at large: missing_field: data.amount is missing
            """.Replace("\r", ""));
        output.ShouldContain("ok   a slice alone");
        error.ShouldContain("1 of 2 failed");
        (await File.ReadAllTextAsync(_folder["out/large.jsonl"])).ShouldBe("what the user has\n");
        Directory.Exists(_folder[".loom"]).ShouldBeFalse("a test touches no state");

        var junit = XDocument.Load(_folder["results.xml"]).Root!;
        (junit.Attribute("tests")!.Value, junit.Attribute("failures")!.Value).ShouldBe(("2", "1"));
        junit.Descendants("testcase").Select(c => (c.Attribute("name")!.Value, c.Attribute("classname")!.Value, c.Elements("failure").Any()))
            .ShouldBe([("large orders get a total", "tests/orders.test.yaml", true), ("a slice alone", "tests/orders.test.yaml", false)]);
        junit.Descendants("failure").Single().Attribute("message")!.Value.ShouldBe("tests/orders.test.yaml:10:19: store.in: event 1 differs at total");

        var (filtered, document, _) = await LoomAsync("test", "--filter", "SLICE", "--json");
        filtered.ShouldBe(0);
        JsonElement.Parse(document).GetProperty("results").EnumerateArray().Single().GetProperty("name").GetString().ShouldBe("a slice alone");
    }

    [Fact]
    public async Task Malformed_ExitsWith2AndRunsNothing()
    {
        Write("bad.test.yaml", """
            cases:
              - name: wrong
                given: { ordrs: [] }
                expect: { store.inn: [] }
            """);
        Write("good.test.yaml", """
            cases:
              - name: right
                expect: { store.in: [ { id: 1, amount: 500, count: 2, total: 1000 } ] }
            """);
        var (exit, output, error) = await LoomAsync("test");
        exit.ShouldBe(2);
        output.ShouldBeEmpty();
        error.ShouldContain("bad.test.yaml:3:14: error LH902: given: there is no component \"ordrs\"; did you mean \"orders\"? (components: orders, large, total, store)");
        error.ShouldContain("bad.test.yaml:4:15: error LH903: expect: component \"store\" has no port \"inn\"; did you mean \"in\"?");
        JsonElement.Parse((await LoomAsync("test", "--json")).Err).GetRawText().ShouldContain("LH903");
        (await LoomAsync("test", "good.test.yaml")).Exit.ShouldBe(0);
        (await LoomAsync("test", "--filter", "nobody")).Exit.ShouldBe(2);

        Write("architecture.yaml", Architecture.Replace("amount >= 100", "amount >> 100"));
        var (broken, _, findings) = await LoomAsync("test", "good.test.yaml");
        broken.ShouldBe(2);
        findings.ShouldContain("architecture.yaml:5:87: error LH406");
    }

    [Fact]
    public async Task Malformed_SystemInAFolderBelow_IsNamedWithItsFolder()
    {
        Write("shop/architecture.yaml", Architecture.Replace("amount >= 100", "amount >> 100"));
        Write("shop/a.test.yaml", """
            cases:
              - name: right
                expect: { store.in: [] }
            """);

        var (exit, _, error) = await LoomAsync("test");

        exit.ShouldBe(2);
        error.ShouldContain("shop/architecture.yaml:5:87: error LH406");
        JsonElement.Parse((await LoomAsync("test", "--json")).Err).GetRawText().ShouldContain("\"shop/architecture.yaml\"");
    }

    [Fact]
    public async Task Recording_ThatIsMissing_SaysHowToRecordAndUpdateDoes()
    {
        using var sample = new SampleSystem("enrich");
        Directory.Delete(sample["rec"], recursive: true);
        var (exit, output, _) = await sample.RunAsync("test");
        exit.ShouldBe(1);
        output.ShouldContain("rec/label.jsonl holds no answer of label to {\"id\":\"t1\"");
        output.ShouldContain("loom harness test --update records it by asking the component itself (and 7 more)");
        (await sample.RunAsync("test", "--update")).Exit.ShouldBe(0);
        File.ReadAllLines(sample["rec/label.jsonl"]).Length.ShouldBe(8);
        (await sample.RunAsync("test")).Exit.ShouldBe(0);

        // One answer gone is recorded again, the others stay as they are.
        var lines = await File.ReadAllLinesAsync(sample["rec/label.jsonl"]);
        await File.WriteAllLinesAsync(sample["rec/label.jsonl"], lines.Skip(1).Select(l => l.Replace("[MOCK]", "[KEPT]", StringComparison.Ordinal)));
        (await sample.RunAsync("test", "--update")).Exit.ShouldBe(0);
        (await File.ReadAllLinesAsync(sample["rec/label.jsonl"])).Count(l => l.Contains("[KEPT]", StringComparison.Ordinal)).ShouldBe(7);
    }

    [Fact]
    public async Task Secrets_AndFilesOutside_StayWhereTheyAre()
    {
        Directory.CreateDirectory(_folder["system"]);
        File.Copy(Path.Combine(Repository.Root, "sdk", "harness", "python", "loom_component.py"), _folder["system/loom_component.py"]);
        Write("system/boom.py", """
            import loom_component as loom

            @loom.item
            def boom(event):
                raise loom.ItemError("boom", "boom geheim-TOP-42")

            loom.run()
            """);
        Write("system/architecture.yaml", """
            schema_version: "1.0.0"
            system: { name: boom, version: 1.0.0 }
            components:
              - { name: make, type: Source, uses: generate, config: { count: 2 } }
              - name: ask
                type: Transformer
                uses: { command: [python3, boom.py], files: [boom.py, loom_component.py] }
                ports: { inputs: [ { name: in } ], outputs: [ { name: out } ] }
              - { name: keep, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings:
              - { from: make.out, to: ask.in }
              - { from: ask.out, to: keep.in }
            policy: { security: { allow_hosts: [127.0.0.1] }, observability: { webhooks: [ { name: ops, url: "http://127.0.0.1:9/", secret: geheim-TOP-42 } ] } }
            """);
        Write("system/rec/bad.jsonl", """{"in":1,"error":{"code":null,"message":"m"}}""");
        Write("system/boom.test.yaml", """
            cases:
              - name: fails
                expect: { errors: [] }
              - name: cannot be run
                mocks: { ask: { recording: rec/bad.jsonl } }
                expect: { keep.in: [] }
              - name: counts as /metrics does
                expect:
                  metrics:
                    "dead_letters_total{code=boom}": 2
                    "finished_total{component=ask, outcome=dead_lettered}": 2
                    "stream_events_total{stream=make.out->ask.in}": 2
                    loom_harness_alert_firing: 0
                    item_seconds_count{component=keep}: 0
            """);
        var (exit, output, error) = await LoomAsync("test", "system", "--junit", "results.xml");
        exit.ShouldBe(1, output + error);
        var junit = await File.ReadAllTextAsync(_folder["results.xml"]);
        (output + error + junit).ShouldNotContain("geheim-TOP-42");
        output.ShouldContain("boom [redacted:webhook ops]");
        output.ShouldContain("boom.test.yaml:4:5: the case could not be run: ");
        output.ShouldContain("ok   counts as /metrics does");
        junit.ShouldContain("<testsuites tests=\"3\" failures=\"2\"");

        var (noFolder, nothing, remedy) = await LoomAsync("test", "system", "--junit", "none/results.xml");
        (noFolder, nothing).ShouldBe((2, ""), remedy);
        remedy.ShouldContain("name a file in a folder that exists");

        Directory.CreateSymbolicLink(_folder["system/away"], _folder.Path);
        Write("system/boom.test.yaml", """
            cases:
              - name: writes outside
                given: { make: { file: /etc/hostname } }
                expect: { keep.in: { file: ../esc.jsonl }, ask.in: { file: away/esc.jsonl } }
            """);
        var (outside, none, findings) = await LoomAsync("test", "system", "--update");
        (outside, none).ShouldBe((2, ""), findings);
        findings.Split("error LH905").Length.ShouldBe(4, findings);
        File.Exists(_folder["esc.jsonl"]).ShouldBeFalse();
    }

    [Fact]
    public async Task Network_WithoutMock_IsRefusedAndSaysWhatToDo()
    {
        Write("architecture.yaml", """
            schema_version: "1.0.0"
            system: { name: out, version: 1.0.0 }
            components:
              - { name: make, type: Source, uses: generate, config: { count: 1 } }
              - { name: tell, type: Sink, uses: http_out, config: { url: "http://127.0.0.1:9/" } }
            bindings: [ { from: make.out, to: tell.in } ]
            policy: { security: { allow_hosts: [127.0.0.1] } }
            """);
        Write("out.test.yaml", """
            cases:
              - name: nothing answers
                expect: { tell.in: [ { n: 1 } ] }
              - name: a reply answers
                mocks: { tell: { replies: [ [] ] } }
                match: subset
                expect: { tell.in: [ {} ], errors: [] }
            """);
        var (exit, output, error) = await LoomAsync("test");
        exit.ShouldBe(1, output + error);
        output.ShouldContain("out.test.yaml:2:5: tell (http_out) reaches no network in a test, and no mock answers this event; write mocks: { tell: { recording: rec/tell.jsonl } }");
        output.ShouldContain("ok   a reply answers");
    }

    [Fact]
    public async Task Live_ByEitherClock_AsksTheComponentItself()
    {
        using var sample = new SampleSystem("enrich");
        await File.WriteAllTextAsync(sample["enrich.test.yaml"], """
            live: true
            match: subset
            cases:
              - name: virtual
                expect: { store.in: [ { id: t1 }, { id: t2 }, { id: t3 }, { id: t4 }, { id: t5 }, { id: t6 }, { id: t7 }, { id: t8 } ] }
              - name: real
                clock: real
                given: { records: [ { id: t1, from: a, text: b }, { at: 200ms, data: { id: t2, from: a, text: b } } ] }
                expect: { store.in: [ { data: { id: t1 }, mock: true }, { id: t2 } ] }
              - name: real and too late
                clock: real
                timeout: 500ms
                given: { records: [ { at: 1h, data: { id: t1, from: a, text: b } } ] }
                expect: { store.in: [] }
            """);
        var (exit, output, error) = await sample.RunAsync("test");
        exit.ShouldBe(1, output + error);
        output.ShouldContain("ok   virtual");
        output.ShouldContain("ok   real (");
        output.ShouldContain("enrich.test.yaml:10:5: the case is not over after 0.5 s of real time");
    }

    [Fact]
    public async Task Child_ThatNeverAnswers_IsNamedWhenTheCaseIsGivenUp()
    {
        Write("never.sh", """
            read hello; echo '{"type":"ready","v":1}'; exec sleep 600
            """);
        Write("architecture.yaml", """
            schema_version: "1.0.0"
            system: { name: never, version: 1.0.0 }
            components:
              - { name: make, type: Source, uses: generate, config: { count: 1 } }
              - name: silent
                type: Transformer
                uses: { command: [bash, never.sh], files: [never.sh] }
                ports: { inputs: [ { name: in } ], outputs: [ { name: out } ] }
              - { name: keep, type: Sink, uses: discard }
            bindings:
              - { from: make.out, to: silent.in }
              - { from: silent.out, to: keep.in }
            """);
        Write("never.test.yaml", """
            cases:
              - name: hangs
                timeout: 6s
                expect: { keep.in: [] }
              - name: goes on
                mocks: { silent: { replies: [ [] ] } }
                expect: { keep.in: [] }
            """);
        var (exit, output, error) = await LoomAsync("test");
        exit.ShouldBe(1, output + error);
        output.ShouldContain("never.test.yaml:2:5: the case is not over after 6 s of real time; it waits for something outside: silent");
        output.ShouldContain("ok   goes on");
    }

    [Fact]
    public async Task Sinks_AndStores_WriteNothingIntoTheSystem()
    {
        Directory.CreateDirectory(_folder["in"]);
        Write("in/a.txt", "text");
        Write("architecture.yaml", """
            schema_version: "1.0.0"
            system: { name: ends, version: 1.0.0 }
            components:
              - { name: files, type: Source, uses: dir_watch, config: { path: in, on_done: delete } }
              - { name: nums, type: Source, uses: generate, config: { count: 5, keys: 2 } }
              - { name: known, type: Store, uses: store, config: { kind: sqlite, path: known.db } }
              - { name: look, type: Transformer, uses: lookup, config: { key: data.key } }
              - { name: rows, type: Sink, uses: sqlite_out, config: { path: rows.db, table: t, key: string(data.n) } }
              - { name: table, type: Sink, uses: csv_out, config: { path: table.csv } }
              - { name: each, type: Sink, uses: file_out, config: { path: "each/{{ data.n }}.json" } }
              - { name: print, type: Sink, uses: stdout }
              - { name: names, type: Sink, uses: jsonl_out, config: { path: names.jsonl } }
            bindings:
              - { from: nums.out, to: [rows.in, table.in, each.in, look.in] }
              - { from: look.store, to: known.in }
              - { from: look.out, to: print.in }
              - { from: files.out, to: names.in }
            """);
        Write("ends.test.yaml", """
            cases:
              - name: all ends
                expect:
                  names.in: [ { path: in/a.txt } ]
                  print.in: [ { n: 0, found: null }, { n: 1 }, { n: 2 }, { n: 3 }, { n: 4 } ]
                  errors: []
                  metrics: { "items_total{component=rows}": 5, "items_total{component=table}": 5, "items_total{component=each}": 5, "items_total{component=known}": 5 }
                match: subset
            """);
        var before = Entries();
        var (exit, output, error) = await LoomAsync("test");
        exit.ShouldBe(0, output + error);
        output.ShouldNotContain("key-1", customMessage: "what stdout would print is no part of the report");
        Entries().ShouldBe(before);
    }

    [Fact]
    public async Task OneSeed_OverAChildRetriesBatchesAndAClock_GivesOneResult100OfTimes()
    {
        File.Copy(Path.Combine(Repository.Root, "sdk", "harness", "python", "loom_component.py"), _folder["loom_component.py"]);
        Write("twice.py", """
            import loom_component as loom

            @loom.item
            def twice(event):
                yield {"twice": event.data["n"] * 2}

            loom.run()
            """);
        Write("architecture.yaml", """
            schema_version: "1.0.0"
            system: { name: many, version: 1.0.0 }
            components:
              - { name: make, type: Source, uses: generate, config: { count: 20 } }
              - { name: clock, type: Source, uses: timer, config: { every: 700ms } }
              - name: child
                type: Transformer
                uses: { command: [python3, twice.py], files: [twice.py, loom_component.py] }
                ports: { inputs: [ { name: in } ], outputs: [ { name: out } ] }
              - { name: often, type: Transformer, uses: map, config: { set: { more: "true" } }, capabilities: [ Retry ] }
              - { name: grouped, type: Transformer, uses: map, config: { set: { grouped: "true" } }, batching: { max_items: 3, max_ms: 40 } }
              - { name: keep, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings:
              - { from: make.out, to: [child.in, often.in] }
              - { from: clock.out, to: grouped.in }
              - { from: child.out, to: grouped.in, buffer: 2 }
              - { from: often.out, to: keep.in, buffer: 3 }
              - { from: grouped.out, to: keep.in }
            """);
        var cases = string.Concat(Enumerable.Range(1, 25).Select(n => $$"""
              - name: run {{n}}.
                seed: 11
                run_for: 5s
                mocks: { often: { fail: { on: 4, code: timeout } } }
                expect: { keep.in: { file: expected.jsonl }, errors: [] }

            """));
        Write("many.test.yaml", "cases:\n" + cases);
        var (first, written, why) = await LoomAsync("test", "--update");
        first.ShouldBe(0, written + why);
        File.ReadAllLines(_folder["expected.jsonl"]).Length.ShouldBe(20 + 20 + 7, "two ways of 20 events, and the ticks of 5 s");
        for (var more = 0; more < 4; more++)
        {
            var (exit, output, error) = await LoomAsync("test");
            exit.ShouldBe(0, output + error);
            error.ShouldContain("25 passed");
        }
    }

    private Task<(int Exit, string Out, string Err)> LoomAsync(params string[] arguments) => RunningLoom.RunAsync(_folder.Path, ["harness", .. arguments]);

    private string[] Entries() => [.. Directory.GetFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];

    private void Write(string name, string text)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(_folder[name])!);
        File.WriteAllText(_folder[name], text);
    }
}
