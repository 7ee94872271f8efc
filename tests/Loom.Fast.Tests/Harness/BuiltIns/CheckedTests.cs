using Loom.Fast.Tests.Harness.Architecture;
using Loom.Harness.Components;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.BuiltIns;

/// <summary>The components of this room as a system's files name them.</summary>
public sealed class CheckedTests
{
    private const string Whole = """
        schema_version: "1.0.0"
        system: { name: all, version: 1.0.0 }
        components:
          - { name: source, type: Source, uses: generate, config: { count: 10 } }
          - { name: map, type: Transformer, uses: map, config: { set: { a: data.n, b: "data.value * 2" }, remove: [value], key: data.key, time: time } }
          - { name: filter, type: Transformer, uses: filter, config: { condition: "data.a > 1 && has(data.b)", on_missing: drop } }
          - { name: template, type: Transformer, uses: template, config: { text: "{{ data.a }}: {{ key }}", into: text, missing: empty } }
          - { name: parse, type: Transformer, uses: parse, config: { format: text, pattern: '^(?<a>[0-9]+): (?<rest>.*)$', types: { a: int }, into: parsed } }
          - { name: extract, type: Transformer, uses: extract, config: { format: markdown, title_into: "", skip_empty: true } }
          - { name: split, type: Transformer, uses: split, config: { by: chunks, size: 200, overlap: 20 } }
          - { name: dedupe, type: Transformer, uses: dedupe, config: { key: "[data.index, data.text]", max_keys: 1000, ttl: 5m } }
          - { name: route, type: Router, uses: route, config: { rules: [ { port: even, when: data.a % 2 == 0 } ], default: odd, match: first } }
          - { name: join, type: StreamProcessor, uses: join, config: { key: data.a, window: 10s, type: left, time: processing } }
          - { name: find, type: Transformer, uses: lookup, config: { key: data.key, into: who, on_missing: drop } }
          - { name: store, type: Store, uses: store, config: { kind: sqlite, path: kept.db, ttl: 1h } }
          - name: sum
            type: Accumulator
            uses: accumulate
            config: { key: data.key, window: sliding, size: 1m, every: 10s, lateness: 5s, idle: 30s, aggregates: { n: { op: count }, all: { op: collect, of: data.left.a } } }
          - { name: out, type: Sink, uses: discard }
        bindings:
          - { from: source.out, to: map.in }
          - { from: map.out, to: filter.in }
          - { from: filter.out, to: template.in }
          - { from: template.out, to: parse.in }
          - { from: parse.out, to: extract.in }
          - { from: extract.out, to: split.in }
          - { from: split.out, to: dedupe.in }
          - { from: dedupe.out, to: route.in }
          - { from: route.even, to: join.left }
          - { from: route.odd, to: join.right }
          - { from: join.out, to: find.in }
          - { from: find.store, to: store.in }
          - { from: find.out, to: sum.in }
          - { from: sum.out, to: out.in }
        """;

    [Fact]
    public void Load_EveryComponentConfigured_NothingWrong() => Lines(Whole).ShouldBeEmpty();

    [Theory]
    [InlineData("condition: \"data.a > 1 && has(data.b)\"", "condition: \"dta.a > 1\"", ":6:", "did you mean \"data\"?")]
    [InlineData("condition: \"data.a > 1 && has(data.b)\"", "condition: \"data.a + 1 + 'x' > 1\"", ":6:", "convert one with string()")]
    [InlineData("condition: \"data.a > 1 && has(data.b)\"", "condition: \"size(data)\"", ":6:", "must give a bool")]
    [InlineData("{{ data.a }}: {{ key }}", "{{ data.a }}: {{ ky }}", ":7:", "did you mean \"key\"?")]
    [InlineData("overlap: 20", "overlap: 200", ":10:", "must be smaller than size")]
    [InlineData("port: even", "port: Even", ":12:", "cannot name an output")]
    [InlineData("every: 10s", "every: 2m", ":19:", "at most size")]
    [InlineData("op: collect, of: data.left.a", "op: collect", ":19:", "needs of")]
    [InlineData("max_keys: 1000", "max_keys: 0", ":11:", "max_keys")]
    [InlineData("pattern: '^(?<a>[0-9]+): (?<rest>.*)$', ", "", ":8:", "needs a pattern")]
    [InlineData("key: data.a, window: 10s", "left_key: data.a, window: 10s", ":13:", "needs key")]
    [InlineData("kind: sqlite, path: kept.db", "kind: sqlite", ":15:", "needs path")]
    [InlineData("          - { from: find.store, to: store.in }\n", "", ":14:", "bound to nothing that answers")]
    [InlineData("type: Transformer, uses: dedupe,", "type: Transformer, uses: dedupe, concurrency: 4,", ":11:", "one event at a time")]
    [InlineData("{ from: route.odd, to: join.right }", "{ from: route.od, to: join.right }", ":", "did you mean \"odd\"?")]
    public void Load_OneThingWrong_LineAndAdvice(string right, string wrong, string line, string advice)
    {
        var trimmed = right.StartsWith("          -", StringComparison.Ordinal) ? right[8..] : right;
        Whole.ShouldContain(trimmed);
        var lines = Lines(Whole.Replace(trimmed, wrong, StringComparison.Ordinal)).Where(l => l.Contains("error", StringComparison.Ordinal)).ToArray();
        lines.ShouldContain(l => l.Contains($"architecture.yaml{line}", StringComparison.Ordinal) && l.Contains(advice, StringComparison.Ordinal), string.Join('\n', lines));
    }

    private static string[] Lines(string architecture) => new MemorySystem(architecture) { Components = ComponentCatalog.BuiltIns }.Lines();
}
