using System.Collections.Immutable;
using Loom.Core.Toml;

namespace Loom.Core.Settings;

/// <summary>
/// Turns the tables of <c>loom.toml</c> into values of settings: finds the setting of each key, follows references, and tells what nobody knows.
/// The only class that reads TOML.
/// </summary>
internal sealed class ProjectFileWalk(ProjectFile file, SettingRegistry registry, string projectFolder, Func<string, string?> lookup, FaultList faults)
{
    private readonly List<string> _path = new(8);
    private bool _unreadable;

    /// <summary>Values found, in the order of the file.</summary>
    public List<GivenValue> Values { get; } = [];

    /// <summary>Tables under stars: key of the table before the star, name, place.</summary>
    public List<(string[] Table, string Name, FilePlace Place)> Tables { get; } = [];

    /// <summary>Variables the file refers to.</summary>
    public HashSet<string> References { get; } = new(StringComparer.Ordinal);

    public void Run() => Table(file.Document.Root, registry.Root, expand: true);

    /// <summary>Reads the value of one key without stars, ahead of all others; null when the file does not give it.</summary>
    public GivenValue? Only(Setting setting)
    {
        TomlValue? value = file.Document.Root;
        foreach (var segment in setting.Segments)
        {
            value = (value as TomlTable)?.Find(segment)?.Value;
            _path.Add(segment);
        }

        if (value is not null)
        {
            Value(setting, value, new FilePlace(file, value.Start, value.End), expand: true);
        }

        return Values.Count > 0 ? Values[0] : null;
    }

    private void Table(TomlTable table, SettingRegistry.Node node, bool expand)
    {
        expand &= !(_path.Count > 1 && table.Find("enabled")?.Value is TomlBoolean { Value: false });
        foreach (var entry in table.Entries)
        {
            _path.Add(entry.Key);
            if (node.Child(entry.Key) is { } child)
            {
                Entry(entry, child, expand);
            }
            else if (KeyAliases.Resolve([.. _path]) is { } target && registry.Root.Find(target) is { } other)
            {
                string[] spelled = [.. _path];
                _path.Clear();
                _path.AddRange(target);
                Entry(entry, other, expand);
                _path.Clear();
                _path.AddRange(spelled);
            }
            else
            {
                Unknown(entry, node);
            }

            _path.RemoveAt(_path.Count - 1);
        }
    }

    private void Entry(TomlEntry entry, SettingRegistry.Node node, bool expand)
    {
        var place = new FilePlace(file, entry.Value.Start, entry.Value.End);
        if (node.Setting is { } setting)
        {
            Value(setting, entry.Value, place, expand);
            return;
        }

        if (entry.Value is TomlTable table)
        {
            NoteName(node, entry);
            Table(table, node, expand);
        }
        else if (entry.Value is TomlArray array && PositionalTables.Has(_path))
        {
            Positions(array, node, expand);
        }
        else if (!Shorthand(node, entry.Value, place, expand))
        {
            faults.Add(Faults.At(place, FaultCode.Type, KeyText.Join([.. _path]), "expected " + Shorthands.Told(node) + "a table", null));
        }
    }

    // `[[harness.systems]]`: each table stands under its position, from 0.
    private void Positions(TomlArray array, SettingRegistry.Node node, bool expand)
    {
        for (var i = 0; i < array.Items.Count; i++)
        {
            var item = array.Items[i];
            _path.Add(i.ToString(System.Globalization.CultureInfo.InvariantCulture));
            Entry(new TomlEntry(_path[^1], item.Start, item.End, item), node.Star!, expand);
            _path.RemoveAt(_path.Count - 1);
        }
    }

    private void NoteName(SettingRegistry.Node node, TomlEntry entry)
    {
        if (_path.Count > 1 && registry.Root.Find([.. _path[..^1]])?.Star == node)
        {
            Tables.Add(([.. _path[..^1]], entry.Key, new FilePlace(file, entry.Start, entry.End)));
        }
    }

    // `restart = "always"` stands for `restart = { policy = "always" }`, `watch = true` for `watch = { paths = [] }`,
    // `depends_on = ["a"]` for `depends_on = { a = "ready" }`.
    private bool Shorthand(SettingRegistry.Node node, TomlValue value, FilePlace place, bool expand)
    {
        string[] spelled = [.. _path];
        if (Shorthands.Policy(node) is { } policy && value is TomlString)
        {
            Below("policy", () => Value(policy, value, place, expand, spelled));
            return true;
        }

        if (Shorthands.Paths(node) is { } paths && value is TomlBoolean or TomlString)
        {
            Switch(paths, value, place, expand);
            return true;
        }

        if (Shorthands.Condition(node) is not { } condition || value is not TomlArray names || !names.Items.All(i => i is TomlString))
        {
            return false;
        }

        foreach (var name in names.Items)
        {
            var safe = true;
            var at = new FilePlace(file, name.Start, name.End);
            _unreadable = false;
            var target = expand ? Expand(condition, (TomlString)name, [], ref safe) : ((TomlString)name).Value;
            if (!_unreadable)
            {
                Below(target, () => Judge(condition, RawValue.Of(condition.Default), at, [], spelled));
            }
        }

        return true;
    }

    private void Switch(Setting paths, TomlValue value, FilePlace place, bool expand)
    {
        string[] spelled = [.. _path];
        var safe = true;
        _unreadable = false;
        var raw = Raw(paths, value, expand, [], ref safe);
        if (_unreadable)
        {
            return;
        }

        var judgement = ScalarParsers.Bool(paths, raw, default);
        if (!judgement.Ok)
        {
            faults.Add(Faults.At(place, FaultCode.Type, KeyText.Join(spelled), "expected true, false or a table", spelled[^1] + " = true"));
        }
        else if (judgement.Value is true)
        {
            Below(paths.Segments[^1], () => Judge(paths, RawValue.Of(ImmutableArray<RawValue>.Empty), place, [], spelled));
        }
    }

    private void Below(string name, Action read)
    {
        _path.Add(name);
        read();
        _path.RemoveAt(_path.Count - 1);
    }

    private void Value(Setting setting, TomlValue value, FilePlace place, bool expand, string[]? spelled = null)
    {
        if (!setting.InFile)
        {
            faults.Add(Faults.At(place, FaultCode.WrongLayer, setting.Key, "cannot stand in loom.toml", setting.Variables.Length > 0 ? "set " + setting.Variables[0] : null));
            return;
        }

        _unreadable = false;
        var names = new List<string>();
        var safe = true;
        var raw = Raw(setting, value, expand, names, ref safe);
        if (setting.IsSecret && !safe)
        {
            file.Hide(value);
        }

        // What a switched-off table would say once its references are followed is not known, so it is not judged.
        var unknown = !expand && setting.Kind is not (SettingKind.String or SettingKind.Path or SettingKind.List or SettingKind.Set)
            && raw is { Kind: RawKind.Text } && raw.Text.Contains("${", StringComparison.Ordinal);
        if (!_unreadable && !unknown)
        {
            Judge(setting, raw, place, names, spelled);
        }
    }

    private void Judge(Setting setting, RawValue raw, FilePlace place, List<string> references, string[]? spelled)
    {
        string[] parts = [.. _path];
        var secretName = !setting.IsSecret ? null : references.Count == 1 ? references[0] : parts[^1];
        Values.Add(new GivenValue(setting, parts, raw, place.Source(KeyText.Join(parts)), null, secretName, references.Count > 0, place)
        {
            Spelled = spelled,
            Referred = references.Where(SecretValues.IsSecretName).Distinct(StringComparer.Ordinal).ToImmutableDictionary(n => n, n => lookup(n) ?? "", StringComparer.Ordinal),
        });
    }

    private RawValue Raw(Setting setting, TomlValue value, bool expand, List<string> names, ref bool safe)
    {
        switch (value)
        {
            case TomlString text:
                return RawValue.Of(expand ? Expand(setting, text, names, ref safe) : Unexpanded(text, ref safe));
            case TomlInteger number:
                return RawValue.Of(number.Value);
            case TomlFloat number:
                return RawValue.Of(number.Value);
            case TomlBoolean flag:
                return RawValue.Of(flag.Value);
            case TomlDateTime date:
                return RawValue.OfDateTime(date.Text);
            case TomlArray array:
                var items = ImmutableArray.CreateBuilder<RawValue>(array.Items.Count);
                foreach (var item in array.Items)
                {
                    items.Add(Raw(setting, item, expand, names, ref safe));
                }

                return RawValue.Of(items.MoveToImmutable());
            default:
                var entries = ImmutableArray.CreateBuilder<KeyValuePair<string, RawValue>>();
                foreach (var entry in ((TomlTable)value).Entries)
                {
                    entries.Add(new(entry.Key, Raw(setting, entry.Value, expand, names, ref safe)));
                }

                return RawValue.Of(entries.ToImmutable());
        }
    }

    private static string Unexpanded(TomlString text, ref bool safe)
    {
        safe = false;
        return text.Value;
    }

    private string Expand(Setting setting, TomlString value, List<string> names, ref bool safe)
    {
        if (Settings.References.Expand(value.Value, lookup, _path.Count > 1 && _path[0] is "agents" or "mcp" ? BuiltIn : null) is not { } expansion)
        {
            return Unexpanded(value, ref safe);
        }

        safe &= expansion.IsOnlyReferences;
        if (setting.IsSecret && !safe)
        {
            file.Hide(value);
        }

        names.AddRange(expansion.Names);
        References.UnionWith(expansion.Names);
        foreach (var fault in expansion.Faults)
        {
            _unreadable |= fault.Severity == FaultSeverity.Error;

            // Quotes and escapes lie between the value and its text: the reference is looked for in the file as written.
            var at = file.Document.Text.Value.IndexOf(fault.Written, value.Start, value.End - value.Start, StringComparison.Ordinal);
            var place = at < 0 ? new FilePlace(file, value.Start, value.End) : new FilePlace(file, at, at + fault.Written.Length);
            faults.Add(Faults.At(place, fault.Code, KeyText.Join([.. _path]), fault.Message, fault.Fix, fault.Severity));
        }

        return expansion.Text;
    }

    private string BuiltIn(string name) => name switch
    {
        "agent.name" => _path[1],
        "project.dir" => projectFolder,
        _ => LateReference.Of(name),
    };

    private void Unknown(TomlEntry entry, SettingRegistry.Node node)
    {
        var what = entry.Value is TomlTable || (entry.Value is TomlArray { Items: [TomlTable, ..] }) ? "table" : "key";
        var nearest = node.Children is null ? null : Nearest.Of(entry.Key, node.Children.Keys);
        string? fix = null;
        if (nearest is not null)
        {
            _path[^1] = nearest;
            fix = what is "table" && _path.Count == 1 ? $"[{KeyText.Join([.. _path])}]" : nearest;
            _path[^1] = entry.Key;
        }

        // A key nobody knows may be a misspelt secret.
        if (entry.Value is TomlString or TomlArray or TomlTable { IsInline: true } && node.Children?.GetValueOrDefault(nearest ?? "")?.Setting is null or { IsSecret: true })
        {
            file.Hide(entry.Value);
        }

        var place = new FilePlace(file, entry.Start, entry.End);
        faults.Add(Faults.At(place, FaultCode.UnknownKey, KeyText.Join([.. _path]), "unknown " + what, fix));
    }
}
