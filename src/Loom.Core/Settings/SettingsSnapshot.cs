using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>
/// The configuration: one value per setting, judged and frozen before anything starts. Rooms read it once, in <c>XOptions.From(snapshot)</c>.
/// </summary>
public sealed class SettingsSnapshot
{
    private readonly Dictionary<string, SettingValue> _values;
    private readonly Dictionary<string, List<string>> _names;
    private readonly HashSet<string>? _reads;

    internal SettingsSnapshot(Dictionary<string, SettingValue> values, Dictionary<string, List<string>> names, bool trackReads)
    {
        _values = values;
        _names = names;
        _reads = trackReads ? new HashSet<string>(StringComparer.Ordinal) : null;
    }

    /// <summary>HOME or CLOUD.</summary>
    public SettingsProfile Profile { get; internal init; }

    /// <summary>Whether the defaults of test mode hold.</summary>
    public bool TestMode { get; internal init; }

    /// <summary>Absolute project folder.</summary>
    public string ProjectFolder { get; internal init; } = "/";

    /// <summary>Environment and env files merged by name, the environment first: what children inherit. Values may be secret.</summary>
    public ImmutableDictionary<string, string> Environment { get; internal set; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>The variables of env files alone, also those the environment covers: children that inherit nothing get these. Values may be secret.</summary>
    public ImmutableDictionary<string, string> EnvFileVariables { get; internal set; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Keys of declared settings that were read so far; only kept when a test asked for it.</summary>
    internal IReadOnlySet<string> Reads => _reads ?? throw new InvalidOperationException("this snapshot does not track reads");

    /// <summary>The values by concrete key, defaults of starred keys under their pattern.</summary>
    internal IReadOnlyDictionary<string, SettingValue> Values => _values;

    /// <summary>The value of a setting. Lists and sets that are unset read as empty.</summary>
    /// <param name="setting">A declared setting.</param>
    /// <param name="names">One name for each star of its key. For a name without a table the defaults hold.</param>
    /// <exception cref="InvalidOperationException">The setting is unset and has no default: use <c>GetOrNull</c> for it.</exception>
    public T Get<T>(Setting<T> setting, params ReadOnlySpan<string> names)
        where T : notnull =>
        TryGet(setting, out T? value, names) ? value
        : setting.Kind is SettingKind.List or SettingKind.Set ? Empty<T>()
        : throw new InvalidOperationException($"setting '{setting.Key}' is unset; it may be, so read it with GetOrNull");

    /// <summary>Reads a setting that may be unset.</summary>
    public bool TryGet<T>(Setting<T> setting, [System.Diagnostics.CodeAnalysis.MaybeNullWhen(false)] out T value, params ReadOnlySpan<string> names)
        where T : notnull
    {
        if (Find(setting, names).Value is T found)
        {
            value = found;
            return true;
        }

        value = default;
        return false;
    }

    /// <summary>Where the value comes from, which tells a given value from a default.</summary>
    public SettingSource SourceOf(Setting setting, params ReadOnlySpan<string> names) => Find(setting, names).Source;

    /// <summary>Where the value of a concrete key was given; null when it was not.</summary>
    /// <param name="key">For example <c>agents.writer.script</c>.</param>
    public SettingSource? SourceOf(string key) => _values.TryGetValue(key, out var value) && value.Source.IsGiven ? value.Source : null;

    /// <summary>Names of the tables (or free entries) under a starred key, in the order of the file.</summary>
    /// <param name="table">Key before the star, for example <c>serving.pools</c> or <c>serving.engines.*.env</c>.</param>
    /// <param name="names">One name for each star inside <paramref name="table"/>.</param>
    public ImmutableArray<string> Names(string table, params ReadOnlySpan<string> names)
    {
        if (!names.IsEmpty)
        {
            var parts = table.Split('.');
            var next = 0;
            for (var i = 0; i < parts.Length; i++)
            {
                parts[i] = parts[i] is "*" ? names[next++] : parts[i];
            }

            table = KeyText.Join(parts);
        }

        return _names.TryGetValue(table, out var found) ? [.. found] : [];
    }

    private SettingValue Find(Setting setting, ReadOnlySpan<string> names)
    {
        if (_reads is not null)
        {
            lock (_reads)
            {
                _reads.Add(setting.Key);
            }
        }

        return _values.TryGetValue(KeyText.Fill(setting, names), out var value) || _values.TryGetValue(setting.Key, out value)
            ? value
            : throw new InvalidOperationException($"setting '{setting.Key}' is not in the registry this snapshot was built from");
    }

    // Lists and sets are immutable arrays, whose default is not usable; an empty one of the right type is.
    private static T Empty<T>() => default(T) switch
    {
        ImmutableArray<string> => (T)(object)ImmutableArray<string>.Empty,
        ImmutableArray<Uri> => (T)(object)ImmutableArray<Uri>.Empty,
        ImmutableArray<long> => (T)(object)ImmutableArray<long>.Empty,
        _ => throw new InvalidOperationException($"no empty list of type {typeof(T)}"),
    };
}

/// <summary>Reads settings of value types that may be unset.</summary>
public static class OptionalValues
{
    /// <summary>The value, or null when it is unset.</summary>
    public static T? GetOrNull<T>(this SettingsSnapshot snapshot, Setting<T> setting, params ReadOnlySpan<string> names)
        where T : struct => snapshot.TryGet(setting, out var value, names) ? value : null;
}

/// <summary>Reads settings of reference types that may be unset.</summary>
public static class OptionalReferences
{
    /// <summary>The value, or null when it is unset.</summary>
    public static T? GetOrNull<T>(this SettingsSnapshot snapshot, Setting<T> setting, params ReadOnlySpan<string> names)
        where T : class => snapshot.TryGet(setting, out var value, names) ? value : null;
}

/// <summary>Which defaults hold.</summary>
public enum SettingsProfile
{
    /// <summary>One machine; everything on loopback.</summary>
    Home,

    /// <summary>Several machines; a token and names are asked for.</summary>
    Cloud,
}

/// <summary>A settled value.</summary>
/// <param name="Setting">Its row.</param>
/// <param name="Value">The value, or null when unset.</param>
/// <param name="Source">Where it comes from.</param>
internal sealed record SettingValue(Setting Setting, object? Value, SettingSource Source)
{
    /// <summary>Secrets that references put into it, which may be of any length.</summary>
    public ImmutableDictionary<string, string> Referred { get; init; } = ImmutableDictionary<string, string>.Empty;
}
