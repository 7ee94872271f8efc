using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>Gathers given values and adds the defaults, in dependency order, until a snapshot stands.</summary>
internal sealed class Freezing(SettingRegistry registry, DefaultWorld world)
{
    private readonly Dictionary<string, SettingValue> _values = new(registry.All.Length * 2, StringComparer.Ordinal);
    private readonly Dictionary<string, List<string>> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Setting> _byKey = registry.All.ToDictionary(s => s.Key, StringComparer.Ordinal);

    public IReadOnlyDictionary<string, SettingValue> Values => _values;

    /// <summary>Rows by their key, stars and all.</summary>
    public Dictionary<string, Setting> ByKey => _byKey;

    /// <summary>Names of the tables under a key so far.</summary>
    public ImmutableArray<string> Names(string table) => _names.TryGetValue(table, out var names) ? [.. names] : [];

    /// <summary>Sets a concrete key and notes the names in it.</summary>
    public void Give(Setting setting, ReadOnlySpan<string> parts, object? value, SettingSource source, ImmutableDictionary<string, string>? referred = null)
    {
        NoteNames(setting, parts);
        _values[KeyText.Join(parts)] = new SettingValue(setting, value, source) { Referred = referred ?? ImmutableDictionary<string, string>.Empty };
    }

    /// <summary>Notes that a table exists, also when it sets nothing.</summary>
    public void NoteName(ReadOnlySpan<string> table, string name)
    {
        var key = KeyText.Join(table);
        if (!_names.TryGetValue(key, out var names))
        {
            _names[key] = names = [];
        }

        if (!names.Contains(name))
        {
            names.Add(name);
        }
    }

    public SettingsSnapshot Freeze(bool trackReads = false)
    {
        foreach (var setting in registry.All)
        {
            Resolve(setting);
        }

        return new SettingsSnapshot(_values, _names, trackReads) { Profile = world.Profile, TestMode = world.TestMode, ProjectFolder = world.Paths.Folder };
    }

    /// <summary>The value of a setting without stars (or the default of a starred one), settled now if it was not.</summary>
    public SettingValue Resolve(Setting setting)
    {
        if (_values.TryGetValue(setting.Key, out var value))
        {
            return value;
        }

        var (text, source) = (world.Profile, world.TestMode) switch
        {
            (_, true) when setting.DefaultTest is { } test => (test, new SettingSource(SettingLayer.Mode)),
            (SettingsProfile.Cloud, _) when setting.DefaultCloud.Length > 0 => (setting.DefaultCloud, new SettingSource(SettingLayer.Profile)),
            _ => (setting.Default, SettingSource.Default),
        };
        return _values[setting.Key] = new SettingValue(setting, text is "" or "required" ? null : Evaluate(setting, text), source);
    }

    // `a|b` = the first usable, a trailing `?` = only if the path exists, `{key}` = the value of that key.
    private object? Evaluate(Setting setting, string text)
    {
        if (text.AsSpan().IndexOfAny("{|?") < 0)
        {
            return Parse(setting, text);
        }

        foreach (var alternative in text.Split('|'))
        {
            var conditional = alternative.EndsWith('?');
            var body = conditional ? alternative[..^1] : alternative;
            if (body.StartsWith('{') && body.IndexOf('}') == body.Length - 1 && _byKey.TryGetValue(body[1..^1], out var whole) && whole.Kind == setting.Kind)
            {
                return Resolve(whole).Value;
            }

            var value = Parse(setting, Substitute(body));
            if (!conditional || world.Exists(value.ToString()!))
            {
                return value;
            }
        }

        return null;
    }

    private string Substitute(string text)
    {
        for (var open = text.IndexOf('{'); open >= 0; open = text.IndexOf('{', open))
        {
            var close = text.IndexOf('}', open);
            var key = text[(open + 1)..close];
            var setting = _byKey.TryGetValue(key, out var found) ? found : throw new InvalidOperationException($"a default names '{key}', which is not declared");
            var value = Resolve(setting).Value;
            text = string.Concat(text.AsSpan(0, open), value is null ? "" : setting.Text(value), text.AsSpan(close + 1));
        }

        return text;
    }

    private object Parse(Setting setting, string text)
    {
        var result = setting.Parse(RawValue.Of(text), world.Paths);
        return result.Value ?? throw new InvalidOperationException($"the default '{text}' of '{setting.Key}' does not pass its own rule: {result.Message}");
    }

    /// <summary>Notes the names in a concrete key without giving it a value.</summary>
    public void NoteNames(Setting setting, ReadOnlySpan<string> parts)
    {
        for (var i = 0; i < setting.Segments.Length; i++)
        {
            if (setting.Segments[i] is "*")
            {
                NoteName(parts[..i], parts[i]);
            }
        }
    }
}

/// <summary>What defaults depend on besides other settings.</summary>
/// <param name="Profile">HOME or CLOUD.</param>
/// <param name="TestMode">Whether test defaults hold.</param>
/// <param name="Paths">Where relative paths start.</param>
/// <param name="Exists">Whether a path exists, for defaults that ask.</param>
internal sealed record DefaultWorld(SettingsProfile Profile, bool TestMode, ParseContext Paths, Func<string, bool> Exists);
