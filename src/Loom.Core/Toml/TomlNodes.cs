namespace Loom.Core.Toml;

/// <summary>A value and where it stands.</summary>
public abstract class TomlValue
{
    /// <summary>Offset of the first character.</summary>
    public int Start { get; internal set; }

    /// <summary>Offset behind the last character.</summary>
    public int End { get; internal set; }
}

public sealed class TomlString(string value) : TomlValue
{
    public string Value { get; } = value;
}

public sealed class TomlInteger(long value) : TomlValue
{
    public long Value { get; } = value;
}

public sealed class TomlFloat(double value) : TomlValue
{
    public double Value { get; } = value;
}

public sealed class TomlBoolean(bool value) : TomlValue
{
    public bool Value { get; } = value;
}

/// <summary>Which of the four TOML date and time types a value has.</summary>
public enum TomlDateTimeKind
{
    Offset,
    Local,
    Date,
    Time,
}

/// <summary>A date or time, checked, in the form of RFC 3339 with upper-case letters.</summary>
public sealed class TomlDateTime(TomlDateTimeKind kind, string text) : TomlValue
{
    public TomlDateTimeKind Kind { get; } = kind;

    public string Text { get; } = text;
}

public sealed class TomlArray : TomlValue
{
    private readonly List<TomlValue> _items = [];

    /// <summary>The items, in order.</summary>
    public IReadOnlyList<TomlValue> Items => _items;

    /// <summary>Made by <c>[[name]]</c>, so later headers may add to it.</summary>
    internal bool IsOfTables { get; init; }

    internal void Add(TomlValue item) => _items.Add(item);
}

/// <summary>One key of a table.</summary>
/// <param name="Key">The key, unquoted.</param>
/// <param name="Start">Offset of the key as written where it was first defined.</param>
/// <param name="End">Offset behind it.</param>
/// <param name="Value">Its value.</param>
public sealed record TomlEntry(string Key, int Start, int End, TomlValue Value);

public sealed class TomlTable : TomlValue
{
    // Most tables are small: a list is quicker to build, and keeps the order of the file.
    private const int SearchLimit = 8;
    private readonly List<TomlEntry> _entries = [];
    private Dictionary<string, int>? _index;

    /// <summary>The entries, in the order of their first definition.</summary>
    public IReadOnlyList<TomlEntry> Entries => _entries;

    /// <summary>Written in braces on one line.</summary>
    public bool IsInline => Origin == TomlTableOrigin.Inline;

    internal TomlTableOrigin Origin { get; set; }

    /// <summary>The entry of a key, or null.</summary>
    public TomlEntry? Find(string key)
    {
        if (_index is not null)
        {
            return _index.TryGetValue(key, out var at) ? _entries[at] : null;
        }

        foreach (var entry in _entries)
        {
            if (string.Equals(entry.Key, key, StringComparison.Ordinal))
            {
                return entry;
            }
        }

        return null;
    }

    internal void Add(TomlEntry entry)
    {
        _entries.Add(entry);
        if (_index is not null)
        {
            _index.Add(entry.Key, _entries.Count - 1);
        }
        else if (_entries.Count > SearchLimit)
        {
            _index = new Dictionary<string, int>(StringComparer.Ordinal);
            for (var i = 0; i < _entries.Count; i++)
            {
                _index.Add(_entries[i].Key, i);
            }
        }
    }
}

/// <summary>How a table came to be, which decides what may still be added to it.</summary>
internal enum TomlTableOrigin
{
    /// <summary>On the way to a header below it; a header of its own may still follow.</summary>
    Implied,

    /// <summary>By its own header.</summary>
    Header,

    /// <summary>By a dotted key.</summary>
    Dotted,

    /// <summary>Written in braces; closed.</summary>
    Inline,
}

/// <summary>A parsed document.</summary>
/// <param name="Text">Its text, for places.</param>
/// <param name="Root">Its root table.</param>
public sealed record TomlDocument(TomlText Text, TomlTable Root);
