using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components.Reference;
using Microsoft.Data.Sqlite;
using Shouldly;

namespace Loom.SystemTests.Harness.Examples;

/// <summary>The example of one built-in, made into a whole system in a folder: what it gives to an input comes from a file, what a run is to be seen by goes into one.</summary>
internal sealed partial class ExampleSystem
{
    /// <summary>Keys that are those of a case of a test, word for word.</summary>
    private static readonly string[] s_ofCase = ["given", "expect", "match", "live", "start", "run_for"];

    /// <summary>Keys that ask for a run: a test leaves standard input and output and the disk alone.</summary>
    private static readonly string[] s_ofRun = ["stdin", "stdout", "then", "then_sql", "requests"];

    private static readonly string[] s_others = ["components", "bindings", "policy", "files", "sql", "server"];

    private readonly Dictionary<string, string> _texts;
    private readonly Dictionary<string, JsonElement> _values;

    public ExampleSystem(string name)
    {
        Name = name;
        var text = ComponentExample.Of(name) ?? throw new InvalidOperationException($"{name} has no example");
        _texts = TopLevel().Matches(text).ToDictionary(m => m.Groups[1].Value, m => m.Value, StringComparer.Ordinal);
        var findings = new FindingList();
        var root = YamlReader.Read($"{name}.yaml", Encoding.UTF8.GetBytes(text), findings);
        findings.Sorted().ShouldBeEmpty();
        _values = YamlJson.Element(root, masked: false).EnumerateObject().ToDictionary(p => p.Name, p => p.Value, StringComparer.Ordinal);
        _values.Keys.ToList().ShouldBe([.. _texts.Keys], "every key stands at the beginning of a line");
        _values.Keys.Except([.. s_ofCase, .. s_ofRun, .. s_others]).ShouldBeEmpty();
    }

    public string Name { get; }

    public bool IsRun => s_ofRun.Any(_values.ContainsKey);

    public JsonElement? Value(string key) => _values.TryGetValue(key, out var value) ? value : null;

    /// <summary>Members of a map, none where the key is not there.</summary>
    public IEnumerable<JsonProperty> Members(string key) => Value(key)?.EnumerateObject() ?? Enumerable.Empty<JsonProperty>();

    public IEnumerable<JsonElement> Items(string key) => Value(key)?.EnumerateArray() ?? Enumerable.Empty<JsonElement>();

    /// <summary>The file an event that leaves by a port is found in after a run.</summary>
    public static string Taken(string port) => $"taken/{port}.jsonl";

    /// <summary>Text of architecture.yaml.</summary>
    public string Architecture()
    {
        var text = new StringBuilder("schema_version: \"1.0.0\"\nsystem: { name: example, version: 1.0.0 }\n").Append(_texts["components"]);
        var bindings = new StringBuilder(_texts.GetValueOrDefault("bindings", "bindings:\n"));
        foreach (var port in Members("given").Select(g => g.Name))
        {
            text.Append($"  - {{ name: {Part("given", port)}, type: Source, uses: jsonl, config: {{ path: {Given(port)} }} }}\n");
            bindings.Append($"  - {{ from: {Part("given", port)}.out, to: {port} }}\n");
        }

        foreach (var port in IsRun ? Members("expect").Select(e => e.Name) : [])
        {
            text.Append($"  - {{ name: {Part("taken", port)}, type: Sink, uses: jsonl_out, config: {{ path: {Taken(port)} }} }}\n");
            bindings.Append($"  - {{ from: {port}, to: {Part("taken", port)}.in }}\n");
        }

        return text.Append(bindings.ToString() == "bindings:\n" ? "" : bindings).Append(_texts.GetValueOrDefault("policy", "")).ToString();
    }

    /// <summary>Writes it all.</summary>
    public void Write(string folder)
    {
        Put(folder, "architecture.yaml", Architecture());
        foreach (var file in Members("files"))
        {
            Put(folder, file.Name, file.Value.GetString()!);
        }

        foreach (var given in Members("given"))
        {
            Put(folder, Given(given.Name), string.Concat(given.Value.EnumerateArray().Select(e => e.GetRawText() + "\n")));
        }

        foreach (var database in Members("sql"))
        {
            using var connection = new SqliteConnection($"Data Source={Path.Combine(folder, database.Name)};Pooling=False");
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = database.Value.GetString();
            command.ExecuteNonQuery();
        }

        if (!IsRun)
        {
            var keys = _texts.Where(t => s_ofCase.Contains(t.Key, StringComparer.Ordinal)).Select(t => string.Concat(t.Value.TrimEnd('\n').Split('\n').Select(l => $"    {l}\n")));
            Put(folder, $"{Name}.test.yaml", $"cases:\n  - name: {Name}\n{string.Concat(keys)}");
        }
    }

    private static string Given(string port) => $"given/{port}.jsonl";

    private static string Part(string what, string port) => $"{what}_{port.Replace('.', '_')}";

    private static void Put(string folder, string name, string text)
    {
        var path = Path.Combine(folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }

    [GeneratedRegex("^([a-z_]+):.*\n(?:(?![a-z_#]).*\n)*", RegexOptions.Multiline)]
    private static partial Regex TopLevel();
}
