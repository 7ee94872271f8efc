using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Tests.Reading;

/// <summary>Reads a test file; what is wrong in itself is told with its place. Whether its names are those of the system is <see cref="TestChecks"/>.</summary>
/// <param name="files">The disk.</param>
/// <param name="findings">What is wrong is added here.</param>
internal sealed class TestFileReader(ISystemFiles files, FindingList findings)
{
    /// <summary>How names of test files end.</summary>
    public const string Ending = ".test.yaml";

    private EventLists _lists = null!;
    private TestPaths _paths = null!;

    /// <summary>Names of the cases of a file, as far as it can be read.</summary>
    /// <param name="files">The disk.</param>
    /// <param name="path">The file, absolute.</param>
    public static IReadOnlyList<string> Names(ISystemFiles files, string path) =>
        files.Read(path, YamlReader.MaxBytes).Content is { } content && YamlReader.Read(path, content, new FindingList()) is YamlMapping map && map.Find("cases") is YamlSequence cases
            ? [.. cases.Items.OfType<YamlMapping>().Select(c => c.Find("name")).OfType<YamlScalar>().Select(n => n.Text)]
            : [];

    /// <summary>The file, or null after a finding that made reading on pointless.</summary>
    /// <param name="path">The file, absolute.</param>
    /// <param name="name">How findings name it.</param>
    public TestFile? Read(string path, string name)
    {
        var folder = Path.GetDirectoryName(path)!;
        var read = files.Read(path, YamlReader.MaxBytes);
        if (read.Content is not { } content)
        {
            findings.Error(Codes.File, name, 0, 0, read.Missing ? "there is no such file" : $"the file cannot be read: {read.Problem}");
            return null;
        }

        var root = YamlReader.Read(name, content, findings);
        if (root is not YamlMapping map)
        {
            if (root is not null)
            {
                findings.Error(Codes.WrongType, root, $"the file is {root.Kind}; it begins with keys such as system: and cases:");
            }

            return null;
        }

        var keys = new KeyReader(map, "test file", findings);
        var system = Path.GetFullPath(Path.Combine(folder, keys.Text("system") ?? "."));
        _paths = new TestPaths(files, folder, system, findings);
        _lists = new EventLists(files, _paths, findings);
        var defaults = Settings(keys, new TestCase { Name = "", Place = Place(map) });
        var nodes = keys.List("cases");
        keys.Done();
        if (nodes.Count == 0)
        {
            findings.Error(Codes.TestCases, map, "the file has no cases; write cases: and below it - name: what it shows");
        }

        var cases = new List<TestCase>();
        foreach (var node in nodes)
        {
            if (Case(node, defaults) is { } one)
            {
                if (cases.Exists(c => c.Name == one.Name))
                {
                    findings.Error(Codes.TestCases, node, $"there is a case named \"{one.Name}\" already; name it otherwise");
                }

                cases.Add(one);
            }
        }

        return new TestFile(name, folder, system, cases);
    }

    private static TestPlace Place(YamlNode node) => new(node.File, node.Line, node.Column);

    // What stands for the whole file or for one case.
    private TestCase Settings(KeyReader keys, TestCase fallback) => fallback with
    {
        Clock = keys.Choice<TestClock>("clock") ?? fallback.Clock,
        Start = _lists.StartOf(keys, "start") ?? fallback.Start,
        Seed = keys.Int("seed", 0, int.MaxValue) ?? fallback.Seed,
        Live = keys.Bool("live", fallback.Live),
        Match = keys.Node("match") is { } match ? Rules(match) : fallback.Match,
        RunFor = keys.Time("run_for", 0, EventLists.MostSeconds) ?? fallback.RunFor,
        Timeout = keys.Time("timeout", 0.1, 86_400) ?? fallback.Timeout,
    };

    private MatchRules Rules(YamlNode node)
    {
        var rules = MatchRules.Exact;
        foreach (var item in node is YamlSequence list ? list.Items : [node])
        {
            switch ((item as YamlScalar)?.Text)
            {
                case "exact":
                    break;
                case "subset":
                    rules |= MatchRules.Subset;
                    break;
                case "unordered":
                    rules |= MatchRules.Unordered;
                    break;
                case "schema":
                    rules |= MatchRules.Schema;
                    break;
                default:
                    findings.Error(Codes.TestValue, item, $"match is {(item as YamlScalar)?.Text ?? item.Kind}; write exact, subset, unordered or schema, or a list of them");
                    break;
            }
        }

        return rules;
    }

    private TestCase? Case(YamlNode node, TestCase defaults)
    {
        if (node is not YamlMapping map)
        {
            findings.Error(Codes.WrongType, node, $"a case is {node.Kind}; write a map that begins with name:");
            return null;
        }

        var keys = new KeyReader(map, "case", findings);
        var name = keys.Required("name", map) ?? "";
        var settings = Settings(keys, defaults);
        var expect = keys.Map("expect");
        var one = settings with
        {
            Name = name,
            Place = Place(map),
            Only = keys.Node("only") is null ? null : Only(keys),
            Given = Given(keys.Map("given")),
            Mocks = Mocks(keys.Map("mocks")),
            Expect = [.. Entries(expect).Where(e => e.Key.Text is not ("errors" or "metrics")).Select(e => Expected(e, settings.Match)).OfType<ExpectedEvents>()],
            Errors = expect?.Find("errors") is { } errors ? Errors(errors) : null,
            Metrics = Metrics(expect?.Find("metrics")),
        };
        keys.Done();
        if ((one.LastGiven + one.RunFor).TotalSeconds > EventLists.MostSeconds)
        {
            findings.Error(Codes.TestValue, map, "the case lasts longer than 49 days; the last at: and run_for: together may be at most that");
        }

        if (expect is null)
        {
            findings.Error(Codes.MissingKey, map, "case needs the key \"expect\"");
        }

        return one;
    }

    private static Dictionary<string, TestPlace> Only(KeyReader keys)
    {
        _ = keys.Texts("only"); // tells what is no name
        return keys.List("only").OfType<YamlScalar>().DistinctBy(n => n.Text).ToDictionary(n => n.Text, Place, StringComparer.Ordinal);
    }

    private static IReadOnlyList<YamlEntry> Entries(YamlMapping? map) => map?.Entries ?? [];

    private List<GivenEvents> Given(YamlMapping? map)
    {
        var given = new List<GivenEvents>();
        foreach (var entry in Entries(map))
        {
            var list = _lists.Read(entry.Value, $"given {entry.Key.Text}", mayMiss: false);
            given.Add(new GivenEvents(PortOf(entry.Key.Text), Place(entry.Key), [.. list.Items.Select(i => new GivenEvent(i.At, i.Data, i.Key, i.Time))]));
        }

        return given;
    }

    // A component alone means its only port; which one that is, the system says.
    private static PortName PortOf(string text) =>
        text.IndexOf('.', StringComparison.Ordinal) is var dot and >= 0 ? new PortName(text[..dot], text[(dot + 1)..]) : new PortName(text, "");

    private ExpectedEvents? Expected(YamlEntry entry, MatchRules match)
    {
        var name = entry.Key.Text;
        if (match.HasFlag(MatchRules.Schema) && entry.Value is YamlMapping schema && schema.Find("file") is null)
        {
            var one = new ExpectedEvent(Place(entry.Value), YamlJson.Element(schema, masked: false));
            return new ExpectedEvents(name, PortOf(name), Place(entry.Key), [one]) { ForAll = true };
        }

        return Of(name, PortOf(name), entry.Key, _lists.Read(entry.Value, $"expect {name}", mayMiss: true));
    }

    private ExpectedEvents Errors(YamlNode node) => Of("errors", default, node, _lists.Read(node, "expect errors", mayMiss: true));

    private static ExpectedEvents Of(string name, PortName port, YamlNode at, EventList list) =>
        new(name, port, Place(at), [.. list.Items.Select(i => new ExpectedEvent(i.Place, i.Data, i.Key, i.Time, i.Mock))]) { File = list.File, Missing = list.Missing };

    private Dictionary<string, MockPlan> Mocks(YamlMapping? map)
    {
        var mocks = new Dictionary<string, MockPlan>(StringComparer.Ordinal);
        foreach (var entry in Entries(map))
        {
            if (entry.Value is not YamlMapping value)
            {
                findings.Error(Codes.TestValue, entry.Value, $"mock of {entry.Key.Text} is {entry.Value.Kind}; write {{ recording: FILE }}, {{ replies: [...] }} or {{ fail: {{ on: 1, code: timeout }} }}");
                continue;
            }

            mocks[entry.Key.Text] = Mock(entry.Key, value);
        }

        return mocks;
    }

    private MockPlan Mock(YamlScalar key, YamlMapping map)
    {
        var keys = new KeyReader(map, $"mock of {key.Text}", findings);
        var recording = keys.Text("recording");
        var path = recording is not null && keys.Node("recording") is YamlScalar named ? _paths.Find(named, $"mock of {key.Text}") : null;
        var replies = keys.Node("replies") is null ? null : keys.List("replies").Select(r => YamlJson.Element(r, masked: false)).ToList();
        var fail = keys.Map("fail") is { } failing ? Failure(key.Text, failing) : null;
        keys.Done();
        if (recording is null && replies is null && fail is null)
        {
            findings.Error(Codes.TestValue, map, $"mock of {key.Text} says nothing; write recording, replies or fail");
        }
        else if (recording is not null && replies is not null)
        {
            findings.Error(Codes.TestValue, map, $"mock of {key.Text} has a recording and replies; write one of them");
        }

        return new MockPlan(Place(key))
        {
            Recording = path,
            RecordingName = recording,
            Replies = replies,
            Fail = fail,
        };
    }

    private MockFailure Failure(string component, YamlMapping map)
    {
        var keys = new KeyReader(map, $"mock of {component}: fail", findings);
        var on = keys.Int("on", 1, int.MaxValue) ?? 1;
        var code = keys.Text("code") ?? "failed";
        var retryable = keys.Bool("retryable", code is "timeout" or "unavailable" or "rate_limited" or "busy");
        keys.Done();
        return new MockFailure(on, code, retryable);
    }

    private List<ExpectedMetric> Metrics(YamlNode? node)
    {
        var metrics = new List<ExpectedMetric>();
        if (node is null)
        {
            return metrics;
        }

        if (node is not YamlMapping map)
        {
            findings.Error(Codes.WrongType, node, $"expect: metrics is {node.Kind}; write a map such as {{ \"items_total{{component=clean}}\": 2 }}");
            return metrics;
        }

        foreach (var entry in map.Entries)
        {
            if (MetricText.Parse(entry.Key.Text) is not { } metric || entry.Value is not YamlScalar { Type: ScalarType.Int or ScalarType.Float } value)
            {
                findings.Error(Codes.TestMetric, entry.Key, $"\"{entry.Key.Text}\" is no metric with a number; write \"items_total{{component=clean}}\": 2");
                continue;
            }

            metrics.Add(new ExpectedMetric(entry.Key.Text, metric.Name, metric.Labels, CoreSchema.Double(value.Text), Place(entry.Key)));
        }

        return metrics;
    }
}

/// <summary>The text of a metric: a name, and labels in braces, quoted or not.</summary>
internal static class MetricText
{
    private const string Prefix = "loom_harness_";

    public static (string Name, IReadOnlyDictionary<string, string> Labels)? Parse(string text)
    {
        var labels = new Dictionary<string, string>(StringComparer.Ordinal);
        var brace = text.IndexOf('{', StringComparison.Ordinal);
        var name = (brace < 0 ? text : text[..brace]).Trim();
        name = name.StartsWith(Prefix, StringComparison.Ordinal) ? name[Prefix.Length..] : name;
        if (name.Length == 0 || name.Any(c => !char.IsAsciiLetterOrDigit(c) && c != '_') || (brace >= 0 && !text.EndsWith('}')))
        {
            return null;
        }

        foreach (var part in brace < 0 ? [] : text[(brace + 1)..^1].Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            var equals = part.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
            {
                return null;
            }

            labels[part[..equals].Trim()] = part[(equals + 1)..].Trim().Trim('"', '\'');
        }

        return (name, labels);
    }
}
