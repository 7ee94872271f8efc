using System.Text.RegularExpressions;

namespace Loom.Cli.Harness;

/// <summary>Files of a system that runs as it is: one of its own, or a copy of an example that travels with the program.</summary>
internal static partial class SystemScaffold
{
    private static readonly string[] s_leftOut = [".loom", "out", "build.lock"];

    // Beside the program; in a clone, where the examples are kept.
    private static string ExamplesFolder => Path.Combine(AppContext.BaseDirectory, "samples", "pipeline");

    /// <summary>Names of the examples, in order.</summary>
    public static IReadOnlyList<string> Examples() => !Directory.Exists(ExamplesFolder)
        ? []
        : [.. Directory.EnumerateDirectories(ExamplesFolder).Where(d => File.Exists(Path.Combine(d, "architecture.yaml"))).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal)];

    /// <summary>The files of an example under another name; null when there is no such example.</summary>
    public static IReadOnlyList<(string Path, string Text)>? FromExample(string example, string name)
    {
        if (!Examples().Contains(example))
        {
            return null;
        }

        var folder = Path.Combine(ExamplesFolder, example);
        return
        [
            .. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
                .Select(f => (Path: Path.GetRelativePath(folder, f), Full: f))
                .Where(f => !s_leftOut.Contains(f.Path.Split('/')[0]))
                .Select(f => (f.Path, f.Path == "architecture.yaml" ? SystemName().Replace(File.ReadAllText(f.Full), "${1}" + name, 1) : File.ReadAllText(f.Full))),
        ];
    }

    /// <summary>A small system: orders of a file, those above a limit, written to another file.</summary>
    public static IReadOnlyList<(string Path, string Text)> Files(string name) =>
    [
        ("architecture.yaml", $$"""
            # What the system is. loom harness check tells what is wrong with it; loom harness components NAME tells what a part can do.
            schema_version: "1.0.0"
            system: { name: {{name}}, version: 0.1.0, description: Large orders of a file }
            components:
              - { name: orders, type: Source, uses: jsonl, config: { path: data/orders.jsonl } }
              - { name: large, type: Transformer, uses: filter, config: { condition: data.amount >= 100 } }
              - { name: total, type: Transformer, uses: map, config: { set: { total: data.amount * data.count } } }
              - { name: store, type: Sink, uses: jsonl_out, config: { path: out/large.jsonl } }
            bindings:
              - { from: orders.out, to: large.in }
              - { from: large.out, to: total.in }
              - { from: total.out, to: store.in }
            policy: { delivery: at_least_once }

            """),
        ("data/orders.jsonl", """
            {"id": 1, "amount": 40, "count": 2}
            {"id": 2, "amount": 120, "count": 1}
            {"id": 3, "amount": 300, "count": 3}

            """),
        ("orders.test.yaml", """
            # loom harness test runs it, without touching out/ or what the system remembers.
            cases:
              - name: large orders get a total, small ones are left out
                given:
                  orders:
                    - { id: 1, amount: 40, count: 2 }
                    - { id: 2, amount: 120, count: 3 }
                expect:
                  store.in: [ { id: 2, amount: 120, count: 3, total: 360 } ]
                  errors: []

            """),
        (".gitignore", """
            .loom/
            out/

            """),
    ];

    [GeneratedRegex("(system:\\s*(?:\\{\\s*)?name:\\s*)[a-z][a-z0-9_]*", RegexOptions.None, 1000)]
    private static partial Regex SystemName();
}
