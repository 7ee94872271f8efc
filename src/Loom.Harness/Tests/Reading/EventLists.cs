using System.Globalization;
using System.Text.Json;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Tests.Reading;

/// <summary>An item of a list of events: a payload, or a map with <c>data</c> and nothing but the keys of an event beside it.</summary>
internal sealed record EventItem(TestPlace Place, JsonElement Data)
{
    public TimeSpan At { get; init; }

    public string? Key { get; init; }

    public DateTimeOffset? Time { get; init; }

    public bool? Mock { get; init; }
}

/// <summary>A list that was read.</summary>
/// <param name="Items">Its events.</param>
/// <param name="File">The file it comes from, absolute; null: it stands in the test file.</param>
/// <param name="Missing">That file is not there.</param>
internal sealed record EventList(IReadOnlyList<EventItem> Items, string? File, bool Missing);

/// <summary>Reads lists of events: inline, or <c>file: data.jsonl</c>.</summary>
internal sealed class EventLists(ISystemFiles files, TestPaths paths, FindingList findings)
{
    /// <summary>Most bytes of a file of events or recorded answers.</summary>
    public const long MostBytes = 256 << 20;

    /// <summary>The longest time a case may take by its clock, in seconds: 49 days, since timers count milliseconds in 32 bits.</summary>
    public const double MostSeconds = 49 * 86_400;

    // Moments a clock may begin with, so that no sum of times leaves the calendar.
    private static readonly DateTimeOffset s_first = new(1970, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset s_last = new(9000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static readonly string[] s_eventKeys = ["data", "at", "key", "time", "mock"];

    /// <param name="node">What stands at the port.</param>
    /// <param name="what">What it is, for messages.</param>
    /// <param name="mayMiss">Whether a file that is not there yet is no error.</param>
    public EventList Read(YamlNode node, string what, bool mayMiss)
    {
        switch (node)
        {
            case YamlSequence list:
                return new EventList([.. list.Items.Select(i => Item(i, what))], null, false);
            case YamlMapping map when map.Find("file") is YamlScalar file && map.Entries.Count == 1:
                return FromFile(file, what, mayMiss);
            default:
                findings.Error(Codes.TestValue, node, $"{what} is {node.Kind}; write a list of payloads, or {{ file: data.jsonl }}");
                return new EventList([], null, false);
        }
    }

    private EventItem Item(YamlNode node, string what)
    {
        var place = new TestPlace(node.File, node.Line, node.Column);
        if (node is not YamlMapping map || map.Find("data") is not { } data || map.Entries.Any(e => !s_eventKeys.Contains(e.Key.Text, StringComparer.Ordinal)))
        {
            return new EventItem(place, YamlJson.Element(node, masked: false));
        }

        var keys = new KeyReader(map, what, findings);
        return new EventItem(place, YamlJson.Element(data, masked: false))
        {
            At = keys.Time("at", 0, MostSeconds) ?? TimeSpan.Zero,
            Key = keys.Text("key"),
            Time = TimeOf(keys, "time"),
            Mock = keys.Node("mock") is null ? null : keys.Bool("mock"),
        };
    }

    /// <summary>A moment, in RFC 3339.</summary>
    public DateTimeOffset? TimeOf(KeyReader keys, string key)
    {
        if (keys.Text(key) is not { } text)
        {
            return null;
        }

        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
        {
            return time;
        }

        findings.Error(Codes.TestValue, keys.Node(key)!, $"{key} is \"{text}\"; write a moment such as \"2026-03-01T10:00:00Z\"");
        return null;
    }

    /// <summary>The moment a clock begins with.</summary>
    public DateTimeOffset? StartOf(KeyReader keys, string key)
    {
        if (TimeOf(keys, key) is not { } time)
        {
            return null;
        }

        if (time >= s_first && time <= s_last)
        {
            return time;
        }

        findings.Error(Codes.TestValue, keys.Node(key)!, $"{key} is \"{keys.Text(key)}\"; a clock begins between 1970 and 9000");
        return null;
    }

    private EventList FromFile(YamlScalar file, string what, bool mayMiss)
    {
        if (paths.Find(file, what) is not { } path)
        {
            return new EventList([], null, false);
        }

        var read = files.Read(path, MostBytes);
        if (read.Content is not { } content)
        {
            if (!read.Missing || !mayMiss)
            {
                findings.Error(Codes.TestData, file, read.Missing ? $"{what}: there is no file {file.Text} beside the test" : $"{what}: {file.Text} cannot be read: {read.Problem}");
            }

            return new EventList([], path, read.Missing);
        }

        var items = new List<EventItem>();
        var number = 0;
        foreach (var line in System.Text.Encoding.UTF8.GetString(content).Split('\n'))
        {
            number++;
            if (!string.IsNullOrWhiteSpace(line))
            {
                items.AddRange(Line(line, new TestPlace(file.Text, number, 1), what, file));
            }
        }

        return new EventList(items, path, false);
    }

    private IEnumerable<EventItem> Line(string line, TestPlace place, string what, YamlScalar file)
    {
        JsonElement json;
        try
        {
            json = JsonElement.Parse(line, Errors.PayloadJson.Around);
        }
        catch (JsonException e)
        {
            findings.Error(Codes.TestData, file, $"{what}: line {place.Line} of {file.Text} is no JSON: {e.Message}");
            return [];
        }

        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty("data"u8, out var data) || json.EnumerateObject().Any(p => !s_eventKeys.Contains(p.Name, StringComparer.Ordinal)))
        {
            return [new EventItem(place, json)];
        }

        // The same keys as in the test file, read by the same rules.
        var scalars = json.EnumerateObject().Where(p => p.Name != "data" && p.Value.ValueKind != JsonValueKind.Null)
            .Select(p => new YamlEntry(Scalar(p.Name, file), Scalar(p.Value.ToString(), file, p.Value.ValueKind == JsonValueKind.String)));
        var keys = new KeyReader(new YamlMapping(file.File, file.Line, file.Column, [.. scalars]), $"{what}, line {place.Line}", findings);
        return
        [
            new EventItem(place, data)
            {
                At = keys.Time("at", 0, MostSeconds) ?? TimeSpan.Zero,
                Key = keys.Text("key"),
                Time = TimeOf(keys, "time"),
                Mock = keys.Node("mock") is null ? null : keys.Bool("mock"),
            },
        ];
    }

    private static YamlScalar Scalar(string text, YamlScalar at, bool quoted = false) =>
        new(at.File, at.Line, at.Column, quoted ? text : text is "True" or "False" ? OptionKey.NameOf(text) : text, quoted ? ScalarStyle.Quoted : ScalarStyle.Plain);
}
