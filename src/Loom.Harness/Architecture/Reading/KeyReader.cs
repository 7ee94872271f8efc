using System.Globalization;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Architecture.Reading;

/// <summary>
/// Reads the keys of one map. Every key that is asked for counts as known; <see cref="Done"/> tells the others, each with the known key nearest to
/// it. A wrong value is told once and reads as its fallback.
/// </summary>
/// <param name="map">The map; null reads as empty.</param>
/// <param name="what">What the map is, for messages: <c>binding</c>.</param>
/// <param name="findings">Errors are added here.</param>
internal sealed class KeyReader(YamlMapping? map, string what, FindingList findings)
{
    private readonly List<string> _known = [];

    /// <summary>The value of a key, whatever it is; null when there is none.</summary>
    public YamlNode? Node(string key)
    {
        if (!_known.Contains(key, StringComparer.Ordinal))
        {
            _known.Add(key);
        }

        return map?.Find(key);
    }

    /// <summary>The node of a key that was read, for findings about its value; the map's own where it is absent.</summary>
    public YamlNode At(string key, YamlNode otherwise) => map?.Find(key) ?? otherwise;

    public YamlMapping? Map(string key) => Of<YamlMapping>(key, "a map");

    public IReadOnlyList<YamlNode> List(string key) => Of<YamlSequence>(key, "a list")?.Items ?? [];

    public string? Text(string key)
    {
        var scalar = Of<YamlScalar>(key, "text");
        if (scalar?.Type is ScalarType.Bool)
        {
            Wrong(scalar, key, "text; put it in quotes");
            return null;
        }

        return scalar?.Text;
    }

    /// <summary>A text that must be there.</summary>
    public string? Required(string key, YamlNode at)
    {
        if (Node(key) is null)
        {
            findings.Error(Codes.MissingKey, at, $"{what} needs the key \"{key}\"");
            return null;
        }

        return Text(key);
    }

    public bool Bool(string key, bool fallback = false)
    {
        if (Of<YamlScalar>(key, "true or false") is not { } scalar)
        {
            return fallback;
        }

        if (scalar.Type != ScalarType.Bool)
        {
            Wrong(scalar, key, "true or false");
            return fallback;
        }

        return CoreSchema.Bool(scalar.Text);
    }

    public int? Int(string key, int min, int max, string unit = "") => (int?)Long(key, min, max, unit);

    /// <summary>A whole number; keys that end in <c>_bytes</c> take sizes such as <c>4MiB</c> too.</summary>
    public long? Long(string key, long min, long max, string unit = "")
    {
        if (Of<YamlScalar>(key, "a whole number") is not { } scalar)
        {
            return null;
        }

        var value = scalar.Type == ScalarType.Int ? CoreSchema.Int(scalar.Text)
            : scalar.Type == ScalarType.Text && key.EndsWith("_bytes", StringComparison.Ordinal) && Units.Size(scalar.Text, "B") is { } size and < long.MaxValue ? (long)size
            : null;
        if (value is null && scalar.Type != ScalarType.Int)
        {
            Wrong(scalar, key, "a whole number");
            return null;
        }

        if (value is null || value < min || value > max)
        {
            Range(scalar, key, string.Create(CultureInfo.InvariantCulture, $"{min} to {max}{(unit.Length == 0 ? "" : " " + unit)}"));
            return null;
        }

        return value;
    }

    /// <summary>A time between bounds in seconds: a number of milliseconds where the key ends in <c>_ms</c>, else a number of seconds or a text such as <c>500ms</c>.</summary>
    public TimeSpan? Time(string key, double min, double max)
    {
        if (Of<YamlScalar>(key, "a time") is not { } scalar)
        {
            return null;
        }

        var milliseconds = key.EndsWith("_ms", StringComparison.Ordinal);
        if (OptionValues.Time(milliseconds, scalar) is not { } time)
        {
            Wrong(scalar, key, milliseconds ? "a number of milliseconds" : "a time such as 5s, 500ms or 2m, or a number of seconds");
            return null;
        }

        if (time.TotalSeconds < min || time.TotalSeconds > max)
        {
            Range(scalar, key, string.Create(CultureInfo.InvariantCulture, $"{(milliseconds ? min * 1000 : min)} to {(milliseconds ? max * 1000 : max)} {(milliseconds ? "ms" : "s")}"));
            return null;
        }

        return time;
    }

    /// <summary>One of the names of an enum, in snake case.</summary>
    public T? Choice<T>(string key)
        where T : struct, Enum
    {
        if (Of<YamlScalar>(key, "a name") is not { } scalar)
        {
            return null;
        }

        var names = Enum.GetNames<T>();
        var at = Array.FindIndex(names, n => OptionKey.NameOf(n) == scalar.Text);
        if (at < 0)
        {
            NotAmong(scalar, key, names.Select(OptionKey.NameOf));
            return null;
        }

        return Enum.Parse<T>(names[at]);
    }

    public IReadOnlyList<string> Texts(string key)
    {
        var result = new List<string>();
        foreach (var item in List(key))
        {
            if (item is YamlScalar { Type: not (ScalarType.Null or ScalarType.Bool) } scalar)
            {
                result.Add(scalar.Text);
            }
            else
            {
                Wrong(item, key, "a list of texts");
            }
        }

        return result;
    }

    public Dictionary<string, string> TextMap(string key)
    {
        var result = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var entry in Map(key)?.Entries ?? [])
        {
            if (entry.Value is YamlScalar scalar)
            {
                result[entry.Key.Text] = scalar.Text;
            }
            else
            {
                Wrong(entry.Value, $"{key}.{entry.Key.Text}", "text");
            }
        }

        return result;
    }

    /// <summary>Tells every key of the map nobody asked for.</summary>
    public void Done()
    {
        foreach (var entry in map?.Entries ?? [])
        {
            if (!_known.Contains(entry.Key.Text, StringComparer.Ordinal))
            {
                Unknown(entry.Key, what, _known, findings);
            }
        }
    }

    public static void Unknown(YamlScalar key, string what, IReadOnlyCollection<string> known, FindingList findings)
    {
        var near = Nearest.Of(key.Text, known);
        findings.Error(Codes.UnknownKey, key, $"{what} has no key \"{Redaction.Plain(key.Text)}\"; {(near is null ? "" : $"did you mean \"{near}\"? ")}(keys: {string.Join(", ", known)})");
    }

    /// <summary>A name that is none of those allowed.</summary>
    public void NotAmong(YamlScalar scalar, string key, IEnumerable<string> allowed)
    {
        var all = allowed.ToList();
        var near = Nearest.Of(scalar.Text, all);
        findings.Error(Codes.BadValue, scalar, $"{what}: {key} is {OptionRules.Shown(scalar)}; {(near is null ? "" : $"did you mean {near}? ")}allowed is {string.Join(", ", all)}");
    }

    private void Range(YamlScalar scalar, string key, string allowed) =>
        findings.Error(Codes.BadValue, scalar, $"{what}: {key} is {OptionRules.Shown(scalar)}; allowed is {allowed}");

    private T? Of<T>(string key, string wanted)
        where T : YamlNode
    {
        var node = Node(key);
        if (node is null or T)
        {
            return (T?)node;
        }

        Wrong(node, key, wanted);
        return null;
    }

    private void Wrong(YamlNode node, string key, string wanted) =>
        findings.Error(Codes.WrongType, node, $"{what}: {key} is {OptionRules.Shown(node)}; write {wanted}");
}
