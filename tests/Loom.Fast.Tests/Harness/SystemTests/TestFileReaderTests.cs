using Loom.Fast.Tests.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Components;
using Loom.Harness.Tests;
using Loom.Harness.Tests.Reading;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.SystemTests;

public sealed class TestFileReaderTests
{
    private const string Architecture = """
        schema_version: "1.0.0"
        system: { name: numbers, version: 1.0.0 }
        components:
          - { name: make, type: Source, uses: generate, config: { count: 3 } }
          - { name: big, type: Transformer, uses: filter, config: { condition: data.n > 1 } }
          - { name: show, type: Sink, uses: stdout }
        bindings:
          - { from: make.out, to: big.in }
          - { from: big.out, to: show.in }
        """;

    [Fact]
    public void Read_OfEveryKey_GivesTheCase()
    {
        var (file, findings) = Read("""
            system: ..
            seed: 9
            match: [subset, unordered]
            cases:
              - name: all of it
                clock: real
                start: "2026-03-01T10:00:00+01:00"
                live: true
                run_for: 10s
                timeout: 5
                only: [big]
                given:
                  big.in:
                    - { n: 1 }
                    - { at: 5s, data: { n: 2 }, key: k, time: "2026-01-02T00:00:00Z" }
                    - { data: 3, other: 4 }
                mocks:
                  show: { replies: [ [], { a: 1 } ], fail: { on: 3, code: timeout } }
                expect:
                  big.out: [ { n: 2 } ]
                  errors: []
                  metrics: { 'loom_harness_items_total{component="big", outcome=done}': 1.5 }
            """);
        findings.ShouldBeEmpty();
        file.System.ShouldBe("/");
        var test = file.Cases.ShouldHaveSingleItem();
        (test.Seed, test.Clock, test.Live, test.RunFor, test.Timeout).ShouldBe((9, TestClock.Real, true, TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(5)));
        test.Start.ShouldBe(new DateTimeOffset(2026, 3, 1, 9, 0, 0, TimeSpan.Zero));
        test.Match.ShouldBe(MatchRules.Subset | MatchRules.Unordered);
        test.Only!.Keys.ShouldBe(["big"]);
        var given = test.Given.ShouldHaveSingleItem();
        given.Port.ShouldBe(new PortName("big", "in"));
        given.Events.Select(e => (e.At.TotalSeconds, e.Data.GetRawText(), e.Key)).ShouldBe([(0, """{"n":1}""", null), (5, """{"n":2}""", "k"), (0, """{"data":3,"other":4}""", null)]);
        given.Events[1].Time.ShouldBe(new DateTimeOffset(2026, 1, 2, 0, 0, 0, TimeSpan.Zero));
        test.Mocks["show"].Replies!.Count.ShouldBe(2);
        test.Mocks["show"].Fail.ShouldBe(new MockFailure(3, "timeout", Retryable: true));
        test.Expect.ShouldHaveSingleItem().Events.ShouldHaveSingleItem().Place.ToString().ShouldBe("a.test.yaml:20:18");
        test.Errors.ShouldNotBeNull().Events.ShouldBeEmpty();
        var metric = test.Metrics.ShouldHaveSingleItem();
        (metric.Name, metric.Value).ShouldBe(("items_total", 1.5));
        metric.Labels.ShouldBe(new Dictionary<string, string> { ["component"] = "big", ["outcome"] = "done" });
    }

    [Fact]
    public void Read_OfEventsInAFile_TakesTheSameForms()
    {
        var (file, findings) = Read("""
            cases:
              - name: from a file
                given: { make: { file: in.jsonl } }
                expect: { big.out: { file: not-there-yet.jsonl } }
            """, ("in.jsonl", """
            {"n":1}

            {"data":{"n":2},"at":"1m","key":"k","time":"2026-01-02T00:00:00Z"}
            """));
        findings.ShouldBeEmpty();
        var test = file.Cases.ShouldHaveSingleItem();
        test.Given[0].Events.Select(e => (e.At.TotalSeconds, e.Data.GetRawText(), e.Key)).ShouldBe([(0, """{"n":1}""", null), (60, """{"n":2}""", "k")]);
        test.Expect[0].Missing.ShouldBeTrue("--update writes it");
    }

    [Fact]
    public void Read_OfAFileThatIsWrong_TellsEverythingWithItsPlace()
    {
        var (_, findings) = Read("""
            cases:
              - name: one
                given: { big.in: 5, make: { file: gone.jsonl } }
                mocks: { big: {}, show: [] }
                expected: {}
              - name: one
                match: near
                start: soon
                expect: { metrics: { "a b": 1, items_total: many } }
            """);
        findings.ShouldBe(
        [
            "a.test.yaml:2:5: error LH107: case needs the key \"expect\"; add it",
            "a.test.yaml:3:22: error LH904: given big.in is 5 (a number); write a list of payloads, or { file: data.jsonl }",
            "a.test.yaml:3:39: error LH905: given make: there is no file gone.jsonl beside the test; put it there, or name another",
            "a.test.yaml:4:19: error LH904: mock of big says nothing; write recording, replies or fail",
            "a.test.yaml:4:29: error LH904: mock of show is a list; write { recording: FILE }, { replies: [...] } or { fail: { on: 1, code: timeout } }",
            "a.test.yaml:5:5: error LH105: case has no key \"expected\"; did you mean \"expect\"? (keys: name, clock, start, seed, live, match, run_for, timeout, expect, only, given, mocks)",
            "a.test.yaml:6:5: error LH901: there is a case named \"one\" already; name it otherwise",
            "a.test.yaml:7:12: error LH904: match is near; write exact, subset, unordered or schema, or a list of them",
            "a.test.yaml:8:12: error LH904: start is \"soon\"; write a moment such as \"2026-03-01T10:00:00Z\"",
            "a.test.yaml:9:26: error LH906: \"a b\" is no metric with a number; write \"items_total{component=clean}\": 2",
            "a.test.yaml:9:36: error LH906: \"items_total\" is no metric with a number; write \"items_total{component=clean}\": 2",
        ]);
    }

    [Fact]
    public void Read_OfFilesOutside_IsRefusedWhateverTheyAreCalled()
    {
        var system = new MemorySystem()
            .With("tests/a.test.yaml", """
                system: ..
                cases:
                  - name: one
                    given: { a: { file: /etc/hostname }, b: { file: link.jsonl }, c: { file: ../in.jsonl }, d: { file: "" } }
                    mocks: { e: { recording: ../../rec.jsonl }, f: { recording: ../rec/f.jsonl } }
                    expect: { g: { file: ../../system2/esc.jsonl }, h: { file: new/h.jsonl }, errors: { file: .. } }
                """)
            .With("in.jsonl", "1").With("tests/link.jsonl", "2").With("/etc/hostname", "secret");
        system.Links["/system/tests/link.jsonl"] = "/etc/hostname";
        var findings = new FindingList();
        var file = new TestFileReader(system, findings).Read("/system/tests/a.test.yaml", "a.test.yaml")!;
        findings.Sorted().Select(f => $"{f.Line}:{f.Column} {f.Code}").ShouldBe(["4:25 LH905", "4:53 LH905", "4:104 LH905", "5:30 LH905", "6:26 LH905", "6:95 LH905"]);
        findings.Sorted()[0].ToString().ShouldBe("a.test.yaml:4:25: error LH905: given a: /etc/hostname lies outside of the test file's folder and the system's; files of a test lie below one of them, and so does what links lead to");
        file.Cases[0].Given.Select(g => g.Events.Count).ShouldBe([0, 0, 1, 0]);
        file.Cases[0].Mocks["f"].Recording.ShouldBe("/system/rec/f.jsonl");
    }

    [Fact]
    public void Read_OfTimesNoClockCanCount_IsRefused()
    {
        var (_, findings) = Read("""
            cases:
              - { name: a, given: { make: [ { at: 60d, data: 1 } ] }, expect: {} }
              - { name: b, run_for: 60d, expect: {} }
              - { name: c, run_for: 30d, given: { make: [ { at: 30d, data: 1 } ] }, expect: {} }
              - { name: d, start: "9999-12-31T23:59:59Z", expect: {} }
              - { name: e, run_for: 49d, expect: {} }
            """);
        findings.Select(f => f[..f.IndexOf(": ", StringComparison.Ordinal)]).ShouldBe(["a.test.yaml:2:39", "a.test.yaml:3:25", "a.test.yaml:4:5", "a.test.yaml:5:23"]);
        findings[2].ShouldContain("longer than 49 days");
    }

    [Fact]
    public void Check_AgainstTheSystem_TellsUnknownNamesAndMocksOfSources()
    {
        var system = new MemorySystem(Architecture) { Components = ComponentCatalog.BuiltIns };
        system.With("a.test.yaml", """
            cases:
              - name: names
                only: [bgi]
                given: { make: [], big.out.x: [] }
                mocks: { make: { replies: [] }, shoo: { replies: [] } }
                expect: { big: [], show.im: [] }
            """);
        var findings = new FindingList();
        var file = new TestFileReader(system, findings).Read("/system/a.test.yaml", "a.test.yaml")!;
        new TestChecks(system.Load().Plan!, findings).Check(file).ShouldBeNull();
        findings.Sorted().Select(f => $"{f.Line}:{f.Column} {f.Code}").ShouldBe(["3:12 LH902", "4:24 LH903", "5:14 LH904", "5:37 LH902", "6:24 LH903"]);
    }

    private static (TestFile File, string[] Findings) Read(string text, params (string Name, string Text)[] more)
    {
        var system = new MemorySystem().With("a.test.yaml", text);
        foreach (var (name, content) in more)
        {
            system.With(name, content);
        }

        var findings = new FindingList();
        var file = new TestFileReader(system, findings).Read("/system/a.test.yaml", "a.test.yaml");
        return (file!, [.. findings.Sorted().Select(f => f.ToString())]);
    }
}
