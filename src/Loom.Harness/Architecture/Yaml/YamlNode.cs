namespace Loom.Harness.Architecture.Yaml;

/// <summary>A value of a YAML file and the place where it begins. Immutable; an alias is the same node as its anchor.</summary>
internal abstract class YamlNode(string file, int line, int column)
{
    /// <summary>Relative to the system's folder.</summary>
    public string File { get; } = file;

    /// <summary>From 1; 0 for a value that stands in no file.</summary>
    public int Line { get; } = line;

    /// <summary>From 1.</summary>
    public int Column { get; } = column;

    /// <summary>What it is, for messages: <c>a list</c>.</summary>
    public abstract string Kind { get; }
}

/// <summary>What a scalar means under the core schema of YAML 1.2.</summary>
internal enum ScalarType
{
    Text,
    Null,
    Bool,
    Int,
    Float,
}

/// <summary>One value. Quoted and block scalars are text, whatever stands in them.</summary>
internal sealed class YamlScalar(string file, int line, int column, string text, ScalarStyle style) : YamlNode(file, line, column)
{
    /// <summary>The text as it is after unquoting.</summary>
    public string Text { get; } = text;

    public ScalarStyle Style { get; } = style;

    public ScalarType Type { get; } = style == ScalarStyle.Plain ? CoreSchema.TypeOf(text) : ScalarType.Text;

    /// <summary>Whether a secret went into it, so that it is never shown.</summary>
    public bool Secret { get; init; }

    /// <summary>Whether references were replaced in it: then it is text wherever text is wanted.</summary>
    public bool IsExpanded { get; init; }

    public override string Kind => Secret ? "a secret" : Type switch
    {
        ScalarType.Null => "nothing",
        ScalarType.Bool => $"{Text} (a bool)",
        ScalarType.Int or ScalarType.Float => $"{Text} (a number)",
        _ => "text",
    };
}

internal enum ScalarStyle
{
    Plain,
    Quoted,
    Block,
}

/// <summary>A list.</summary>
internal sealed class YamlSequence(string file, int line, int column, IReadOnlyList<YamlNode> items) : YamlNode(file, line, column)
{
    public IReadOnlyList<YamlNode> Items { get; } = items;

    public override string Kind => "a list";
}

/// <summary>A key and its value.</summary>
internal readonly record struct YamlEntry(YamlScalar Key, YamlNode Value);

/// <summary>A map with text keys, in the order of the file.</summary>
internal sealed class YamlMapping(string file, int line, int column, IReadOnlyList<YamlEntry> entries) : YamlNode(file, line, column)
{
    public IReadOnlyList<YamlEntry> Entries { get; } = entries;

    public override string Kind => "a map";

    /// <summary>The value of a key, or null. A key that is given without a value counts as absent.</summary>
    public YamlNode? Find(string key)
    {
        foreach (var entry in Entries)
        {
            if (string.Equals(entry.Key.Text, key, StringComparison.Ordinal))
            {
                return entry.Value is YamlScalar { Type: ScalarType.Null } ? null : entry.Value;
            }
        }

        return null;
    }
}
