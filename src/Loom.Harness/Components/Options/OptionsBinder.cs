using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.Options;

/// <summary>
/// Makes an options record from a config, in YAML or JSON. Every error is found at once, at its own line and column, with the unit and what is
/// allowed.
/// </summary>
/// <param name="owner">Whose config it is, for messages: <c>component "chunk"</c>.</param>
/// <param name="findings">Errors are added here.</param>
internal sealed class OptionsBinder(string owner, FindingList findings)
{
    /// <summary>Binds a config from YAML.</summary>
    /// <param name="type">The options record.</param>
    /// <param name="config">Null when there is none, which is an error only where keys are required.</param>
    /// <param name="at">Where a missing config is told.</param>
    /// <returns>Null after an error.</returns>
    public object? Bind(Type type, YamlNode? config, YamlNode at)
    {
        if (config is null or YamlMapping)
        {
            return Record(type, config as YamlMapping, config ?? at, "");
        }

        findings.Error(Codes.ConfigType, config, $"config of {owner} is {config.Kind}; write a map of keys");
        return null;
    }

    /// <summary>Binds a config from JSON, as <c>set_config</c> and graphs in code give it.</summary>
    public object? Bind(Type type, JsonElement config, string origin)
    {
        var node = YamlFromJson.Read(config, origin);
        return Bind(type, node is YamlScalar { Type: ScalarType.Null } ? null : node, node);
    }

    /// <summary>A copy of a record with some of its hot keys changed, judged by the same rules.</summary>
    /// <param name="type">The options record.</param>
    /// <param name="current">The record as it is.</param>
    /// <param name="changes">Keys and their new values.</param>
    /// <returns>Null after an error.</returns>
    public object? Change(Type type, object current, JsonElement changes)
    {
        var shape = OptionsShape.Of(type);
        var map = (YamlMapping)YamlFromJson.Read(changes, "set_config");
        var hot = shape.Keys.Where(k => k.Hot).ToList();
        var result = shape.Create();
        foreach (var key in shape.Keys)
        {
            key.Property.SetValue(result, key.Property.GetValue(current));
        }

        foreach (var entry in map.Entries)
        {
            if (hot.FirstOrDefault(k => k.Name == entry.Key.Text) is not { } key)
            {
                var known = shape.Keys.Any(k => k.Name == entry.Key.Text);
                findings.Error(Codes.ConfigUnknownKey, entry.Key,
                    $"{owner}: config key \"{entry.Key.Text}\" {(known ? "cannot be changed while it runs" : "is not there")} (keys that can: {(hot.Count == 0 ? "none" : string.Join(", ", hot.Select(k => k.Name)))})");
            }
            else if (Value(key, key.Type, entry.Value, key.Name) is { } value && Obeys(key, value, entry.Value, key.Name))
            {
                key.Property.SetValue(result, value);
            }
        }

        if (!findings.HasErrors && shape.HasRules)
        {
            Rules((IValidatableObject)result, shape, map, map, "");
        }

        return findings.HasErrors ? null : result;
    }

    private object? Record(Type type, YamlMapping? map, YamlNode at, string path)
    {
        var shape = OptionsShape.Of(type);
        var result = shape.Create();
        var faults = findings.ErrorCount;
        foreach (var entry in map?.Entries ?? [])
        {
            if (!shape.Keys.Any(k => k.Name == entry.Key.Text))
            {
                var near = Nearest.Of(entry.Key.Text, shape.Keys.Select(k => k.Name));
                findings.Error(Codes.ConfigUnknownKey, entry.Key,
                    $"{owner} has no config key \"{path}{entry.Key.Text}\"; {(near is null ? "" : $"did you mean \"{near}\"? ")}(keys: {string.Join(", ", shape.Keys.Select(k => k.Name))})");
            }
        }

        foreach (var key in shape.Keys)
        {
            if (map?.Find(key.Name) is not { } node)
            {
                if (key.Required)
                {
                    findings.Error(Codes.ConfigMissing, at, $"{owner} needs config key \"{path}{key.Name}\": {Sentence(key)}");
                }

                continue;
            }

            if (Value(key, key.Type, node, path + key.Name) is { } value && Obeys(key, value, node, path + key.Name))
            {
                key.Property.SetValue(result, value);
            }
        }

        if (shape.Keys.FirstOrDefault(k => k.Type == typeof(MissingRule)) is { } missing)
        {
            ApplyMissing(result, shape, (MissingRule)missing.Property.GetValue(result)!);
        }

        if (findings.ErrorCount == faults && shape.HasRules)
        {
            Rules((IValidatableObject)result, shape, map, at, path);
        }

        return findings.ErrorCount == faults ? result : null;
    }

    // The rule for what is missing stands beside the templates it is for.
    private static void ApplyMissing(object result, OptionsShape shape, MissingRule rule)
    {
        foreach (var key in shape.Keys)
        {
            switch (key.Property.GetValue(result))
            {
                case Template template:
                    key.Property.SetValue(result, template.With(rule));
                    break;
                case Template[] list:
                    key.Property.SetValue(result, list.Select(t => t.With(rule)).ToArray());
                    break;
                case Dictionary<string, Template> map:
                    key.Property.SetValue(result, map.ToDictionary(p => p.Key, p => p.Value.With(rule), StringComparer.Ordinal));
                    break;
            }
        }
    }

    private void Rules(IValidatableObject result, OptionsShape shape, YamlMapping? map, YamlNode at, string path)
    {
        foreach (var fault in result.Validate(new ValidationContext(result)))
        {
            var key = fault.MemberNames.Select(n => shape.Keys.FirstOrDefault(k => k.Property.Name == n || k.Name == n)?.Name).FirstOrDefault(n => n is not null && map?.Find(n) is not null);
            findings.Error(Codes.ConfigRule, key is null ? at : map!.Find(key)!, $"{owner}: {(path.Length == 0 ? "" : $"{path.TrimEnd('.')}: ")}{fault.ErrorMessage}");
        }
    }

    // Null after an error.
    private object? Value(OptionKey key, Type type, YamlNode node, string path)
    {
        if (type == typeof(JsonElement))
        {
            return YamlJson.Element(node, masked: false);
        }

        if (ItemTypeOf(type) is { } item)
        {
            return List(key, item, node, path);
        }

        if (ValueTypeOf(type) is { } valueType)
        {
            return Map(key, valueType, node, path);
        }

        if (OptionsShape.IsNested(type))
        {
            return node is YamlMapping map ? Record(type, map, map, path + ".") : Wrong(node, path, "a map");
        }

        return node is YamlScalar scalar ? Scalar(key, type, scalar, path) : Wrong(node, path, OptionValues.Wanted(key, type));
    }

    private object? Scalar(OptionKey key, Type type, YamlScalar scalar, string path)
    {
        if (OptionTexts.IsCompiled(type))
        {
            if (scalar.Type is not (ScalarType.Text or ScalarType.Int or ScalarType.Float or ScalarType.Bool))
            {
                return Wrong(scalar, path, "text");
            }

            var made = OptionTexts.Compile(type, scalar.Text, out var fault);
            if (made is null)
            {
                var (line, column) = YamlPlace.Inside(scalar, fault.Column);
                findings.Error(type == typeof(Template) ? Codes.Template : Codes.Expression, scalar.File, line, column, $"{owner}: {path}: {fault.Message}");
            }

            return made;
        }

        return OptionValues.Read(key, type, scalar, out var wrong) is { } value
            ? value
            : wrong is null ? Wrong(scalar, path, OptionValues.Wanted(key, type)) : Refuse(scalar, path, wrong);
    }

    private object? List(OptionKey key, Type item, YamlNode node, string path)
    {
        if (node is not YamlSequence sequence)
        {
            return Wrong(node, path, $"a list of {OptionValues.Wanted(key, item)}");
        }

        var list = Array.CreateInstance(item, sequence.Items.Count);
        var whole = true;
        for (var i = 0; i < sequence.Items.Count; i++)
        {
            if (Value(key, item, sequence.Items[i], $"{path}[{i}]") is { } value)
            {
                list.SetValue(value, i);
            }
            else
            {
                whole = false;
            }
        }

        return whole ? list : null;
    }

    private object? Map(OptionKey key, Type valueType, YamlNode node, string path)
    {
        if (node is not YamlMapping map)
        {
            return Wrong(node, path, $"a map to {OptionValues.Wanted(key, valueType)}");
        }

        var result = (IDictionary)Activator.CreateInstance(typeof(Dictionary<,>).MakeGenericType(typeof(string), valueType), StringComparer.Ordinal)!;
        var whole = true;
        foreach (var entry in map.Entries)
        {
            if (Value(key, valueType, entry.Value, $"{path}.{entry.Key.Text}") is { } value)
            {
                result.Add(entry.Key.Text, value);
            }
            else
            {
                whole = false;
            }
        }

        return whole ? result : null;
    }

    private bool Obeys(OptionKey key, object value, YamlNode node, string path)
    {
        if (OptionRules.Broken(key, value) is not { } rule)
        {
            return true;
        }

        findings.Error(Codes.ConfigRange, node, $"{owner}: {path} is {OptionRules.Shown(node)}; {rule}");
        return false;
    }

    private object? Wrong(YamlNode node, string path, string wanted) => Refuse(node, path, $"{wanted} is wanted");

    private object? Refuse(YamlNode node, string path, string wrong)
    {
        findings.Error(Codes.ConfigType, node, $"{owner}: {path} is {OptionRules.Shown(node)}; {wrong}");
        return null;
    }

    private static string Sentence(OptionKey key) => key.Description.Length == 0 ? OptionValues.Wanted(key, key.Type) : key.Description;

    private static Type? ItemTypeOf(Type type) => type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) ? type.GetGenericArguments()[0] : null;

    private static Type? ValueTypeOf(Type type) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>) ? type.GetGenericArguments()[1] : null;
}
