using System.Text;
using Loom.Harness.Components;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Examples;

/// <summary>What an event that a built-in cannot handle becomes: an error of its own with the code that is written here, for every built-in. Wrong configs are those of the fast sweep.</summary>
public sealed class ItemErrorTests : IDisposable
{
    private const string Bad = "{ not: this }";

    /// <summary>Built-in, its config, what it is given (by port) or reads (by file), and the codes of the errors.</summary>
    private static readonly Row[] s_rows =
    [
        new("accumulate", "{ size: 1m, aggregates: { sum: { op: sum, of: data.n } } }", "in: [ { n: text } ]", "expression_error"),
        new("accumulate", "{ size: 1m, key: data.user }", $"in: [ {Bad} ]", "missing_field"),
        new("accumulate", "{ size: 1m, max_windows: 1, key: data.k }", "in: [ { k: a }, { k: b } ]", "too_many_windows"),
        new("csv", "{ path: given, types: { n: int } }", "id,n\n1,x\n2", "bad_line", "bad_line"),
        new("csv_out", "{ path: out.csv, columns: [a] }", "in: [ [1] ]", "no_object"),
        new("dedupe", "{ key: data.id }", $"in: [ {Bad} ]", "missing_field"),
        new("dir_watch", "{ path: ., glob: given, max_bytes: 3, once: true }", "long", "file_too_large"),
        new("embed", "{ provider: trial }", $"in: [ {Bad} ]", "missing_field"),
        new("extract", "{}", $"in: [ {Bad} ]", "missing_field"),
        new("file_out", "{ path: \"out/{{ data.id }}\" }", $"in: [ {Bad}, {{ id: ../../../../x }} ]", "missing_field", "path_refused"),
        new("files", "{ path: given, max_bytes: 3 }", "long", "file_too_large"),
        new("filter", "{ condition: data.n > 1 }", $"in: [ {Bad}, {{ n: text }} ]", "missing_field", "expression_error"),
        new("http_call", "{ url: \"${SERVER}/{{ data.path }}\" }", $"in: [ {Bad}, {{ path: none }} ]", "missing_field", "http_410"),
        new("http_out", "{ url: \"${SERVER}/{{ data.path }}\" }", $"in: [ {Bad}, {{ path: none }} ]", "missing_field", "http_410"),
        new("join", "{ key: data.id, window: 1m }", $"left: [ {Bad} ], it.right: []", "missing_field"),
        new("jsonl", "{ path: given, max_line_bytes: 9 }", "no json\n{\"long\": true}\n", "bad_line", "bad_line"),
        new("lines", "{ path: given, max_line_bytes: 3 }", "a\nlong\n", "bad_line"),
        new("llm", "{ provider: trial, prompt: \"{{ data.text }}\" }", $"in: [ {Bad} ]", "missing_field"),
        new("lookup", "{ key: data.id, on_missing: error }", $"in: [ {Bad}, {{ id: a }} ]", "missing_field", "not_found"),
        new("map", "{ set: { n: data.a + 1 } }", $"in: [ {Bad}, {{ a: text }}, 5 ]", "missing_field", "expression_error", "expression_error"),
        new("parse", "{ format: json }", "in: [ { text: \"{\" } ]", "parse_error"),
        new("route", "{ rules: [ { port: out, when: data.n > 1 } ] }", $"in: [ {{ n: 1 }}, {Bad} ]", "unrouted", "missing_field"),
        new("split", "{ by: path, from: data.list }", $"in: [ {Bad}, {{ list: 5 }} ]", "missing_field", "expression_error"),
        new("sqlite_out", "{ table: t }", "in: [ [1] ]", "no_object"),
        new("store", "{ max_keys: 1 }", "in: [ { id: a }, { id: b } ]", "store_error"),
        new("template", "{ text: \"{{ data.id }}\" }", $"in: [ {Bad} ]", "missing_field"),
    ];

    /// <summary>Why the others have no row.</summary>
    private static readonly Dictionary<string, string> s_without = new(StringComparer.Ordinal)
    {
        ["discard"] = "takes anything",
        ["generate"] = "makes its own events",
        ["http_in"] = "refuses requests, in HttpInTests",
        ["jsonl_out"] = "writes any JSON",
        ["rules"] = "reads metrics; operations nobody can carry out are in ControlTests",
        ["sqlite_in"] = "any row is an event; a query that cannot be read is in FileSourceTests",
        ["stdin"] = "read for real below",
        ["stdout"] = "writes any JSON",
        ["timer"] = "makes its own events",
    };

    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Rows_AndReasons_CoverEveryBuiltIn() =>
        s_rows.Select(r => r.Name).Distinct().Concat(s_without.Keys).Order(StringComparer.Ordinal).ShouldBe(ComponentCatalog.BuiltIns.All.Select(c => c.Name));

    [Fact]
    public async Task Event_ABuiltInCannotHandle_IsAnErrorWithItsCode()
    {
        await using var server = await ExampleServer.StartAsync([]);
        for (var i = 0; i < s_rows.Length; i++)
        {
            Write(_folder[$"{i}"], s_rows[i]);
        }

        var (exit, output, error) = await RunningLoom.RunAsync(_folder.Path, ["harness", "test", "."], [("SERVER", server.Address)]);
        exit.ShouldBe(0, output + error);
        output.Split('\n').Count(l => l.StartsWith("  ok ", StringComparison.Ordinal)).ShouldBe(s_rows.Length, output);
    }

    [Fact]
    public async Task Line_ThatIsNoJson_IsALetterOfStdin()
    {
        await File.WriteAllTextAsync(_folder["architecture.yaml"], """
            schema_version: "1.0.0"
            system: { name: typed, version: 1.0.0 }
            components:
              - { name: it, type: Source, uses: stdin }
              - { name: show, type: Sink, uses: stdout }
            bindings:
              - { from: it.out, to: show.in }
            """);
        var (exit, output, error) = await RunningLoom.RunAsync(_folder.Path, ["harness", "run", ".", "--unlocked", "--port", "0", "--strict"], [], "{\"id\":1}\nno json\n{\"id\":2}\n");
        (exit, output).ShouldBe((4, "{\"id\":1}\n{\"id\":2}\n"), error);
        (await RunningLoom.RunAsync(_folder.Path, ["harness", "dead-letters", "list", "--json"])).Out.ShouldContain("\"bad_line\"");
    }

    private static void Write(string folder, Row row)
    {
        var descriptor = ComponentCatalog.BuiltIns.Find(row.Name)!;
        var reads = descriptor.Type == Loom.Components.ComponentType.Source;
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "loom.toml"), "[llm.trial]\ntype = \"mock\"\n");
        var text = new StringBuilder($$"""
            schema_version: "1.0.0"
            system: { name: errors, version: 1.0.0 }
            policy: { security: { allow_hosts: [127.0.0.1] } }
            components:
              - { name: it, type: {{descriptor.Type}}, uses: {{row.Name}}, config: {{row.Config}} }

            """);
        var bindings = new List<string>();
        var fed = "it";
        if (row.Name is "store" or "lookup")
        {
            fed = row.Name == "store" ? "ask" : "it";
            text.AppendLine(row.Name == "store" ? "  - { name: ask, type: Transformer, uses: lookup, config: { key: data.id, op: put } }" : "  - { name: keep, type: Store, uses: store }");
            bindings.Add(row.Name == "store" ? "{ from: ask.store, to: it.in }" : "{ from: it.store, to: keep.in }");
        }

        foreach (var port in reads ? [] : row.Name == "join" ? ["left", "right"] : new[] { "in" })
        {
            text.AppendLine($"  - {{ name: from_{port}, type: Source, uses: generate }}");
            bindings.Add($"{{ from: from_{port}.out, to: {fed}.{port} }}");
        }

        File.WriteAllText(Path.Combine(folder, "architecture.yaml"), $"{text}bindings:{(bindings.Count == 0 ? " []" : "")}\n{string.Concat(bindings.Select(b => $"  - {b}\n"))}");
        if (reads)
        {
            File.WriteAllText(Path.Combine(folder, "given"), row.Given);
        }

        File.WriteAllText(Path.Combine(folder, "errors.test.yaml"), $"""
            cases:
              - name: {row.Name}
                live: true
                match: subset
                given: {(reads ? "{}" : $"{{ {fed}.{row.Given} }}")}
                expect: {(row.Codes.Length == 0 ? "{}" : $"{{ errors: [ {string.Join(", ", row.Codes.Select(c => $"{{ component: {fed}, code: {c} }}"))} ] }}")}

            """);
    }

    private sealed record Row(string Name, string Config, string Given, params string[] Codes);
}
