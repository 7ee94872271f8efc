using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Loom.Core.Settings;

namespace Loom.Cli.Config;

/// <summary>
/// The JSON Schema (draft 7) of <c>loom.toml</c>, by which editors complete and check it. It accepts what the loader accepts, references included.
/// </summary>
internal static class SchemaDocument
{
    private const string Reference = @"\$\{";

    public static string Write(SettingRegistry registry)
    {
        var root = new Table();
        foreach (var setting in registry.All.Where(s => s.InFile))
        {
            root.Add([.. setting.Segments], setting);
            foreach (var spelling in KeyAliases.SpellingsOf(setting))
            {
                root.Add(spelling, setting);
            }
        }

        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            json.WriteString("$schema", "http://json-schema.org/draft-07/schema#");
            json.WriteString("title", "loom.toml");
            Members(json, root);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan) + "\n";
    }

    private static void Members(Utf8JsonWriter json, Table table)
    {
        json.WriteString("type", "object");
        if (table.Children.Count > 0)
        {
            json.WriteStartObject("properties");
            foreach (var (name, child) in table.Children)
            {
                json.WriteStartObject(name);
                Node(json, child);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        var required = table.Children.Where(c => c.Value.Setting is { IsRequired: true }).Select(c => c.Key).ToList();
        if (required.Count > 0)
        {
            json.WriteStartArray("required");
            required.ForEach(json.WriteStringValue);
            json.WriteEndArray();
        }

        if (table.Star is null)
        {
            json.WriteBoolean("additionalProperties", false);
            return;
        }

        json.WriteStartObject("additionalProperties");
        Node(json, table.Star);
        json.WriteEndObject();
    }

    private static void Node(Utf8JsonWriter json, Table node)
    {
        if (node.Setting is null)
        {
            Tables(json, node);
            return;
        }

        var setting = node.Setting;
        json.WriteString("description", setting.Description);
        if (TypedDefault(setting) is { } typed)
        {
            json.WritePropertyName("default");
            json.WriteRawValue(typed);
        }

        json.WriteStartArray("anyOf");
        foreach (var form in Forms(setting))
        {
            json.WriteRawValue(form);
        }

        json.WriteEndArray();
    }

    // A table, or the shorthand that stands for it.
    private static void Tables(Utf8JsonWriter json, Table node)
    {
        if (node.IsPositional)
        {
            json.WriteString("type", "array");
            json.WriteStartObject("items");
            Members(json, node.Star!);
            json.WriteEndObject();
            return;
        }

        var shorthands = Shorthands(node).ToList();
        if (shorthands.Count == 0)
        {
            Members(json, node);
            return;
        }

        json.WriteStartArray("anyOf");
        json.WriteStartObject();
        Members(json, node);
        json.WriteEndObject();
        shorthands.ForEach(form => json.WriteRawValue(form));
        json.WriteEndArray();
    }

    private static IEnumerable<string> Shorthands(Table node) =>
        node.Children.GetValueOrDefault("policy")?.Setting is { Kind: SettingKind.Enum } policy ? Choices(policy)
        : node.Children.ContainsKey("paths") ? Switch()
        : node.Star?.Setting is { Kind: SettingKind.Enum } ? ["""{"type":"array","items":{"type":"string"}}"""]
        : [];

    private static string[] Switch() =>
        [Of("boolean"), Text(@"^\s*(1|0|[Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy][Ee][Ss]|[Nn][Oo]|[Oo][Nn]|[Oo][Ff][Ff])\s*$")];

    private static IEnumerable<string> Forms(Setting setting) => setting.Kind switch
    {
        SettingKind.Bool => Switch(),
        SettingKind.Int => [Of("integer", setting), Text(@"^\s*[+-]?[0-9]+\s*$")],
        SettingKind.Float => [Of("number", setting), Text(@"^\s*[+-]?[0-9.]+([eE][+-]?[0-9]+)?\s*$")],
        SettingKind.Duration => [Of("number", setting), Text(@"^\s*([0-9]+(\.[0-9]+)?(ms|s|m|h|d)?)+\s*$")],
        SettingKind.Size => [Of("number", setting), Text(@"^\s*[0-9]+(\.[0-9]+)?\s*([kKmMgGtT]?[iI]?[bB])?\s*$")],
        SettingKind.Enum => Choices(setting),
        SettingKind.Url => [Text($@"^\s*({setting.Allowed.Replace(';', '|')})://")],
        SettingKind.HostPort => [Text(@":[0-9]+\s*$")],
        SettingKind.Path => [Text(@"\S")],
        SettingKind.List when setting.IsSelection => [List(setting), Of("string"), Of("boolean")],
        SettingKind.List or SettingKind.Set => [List(setting), Of("string")],
        SettingKind.String when setting.IsFree => ["{}"],
        _ when setting.Min.Length > 0 || setting.Max.Length > 0 => [Bounded(setting), Text(Reference)],
        _ => [Of("string")],
    };

    private static IEnumerable<string> Choices(Setting setting)
    {
        var names = setting.Allowed.Split(';');
        yield return $$"""{"enum":[{{string.Join(',', names.Select(Json))}}]}""";
        yield return Text($@"^\s*({string.Join('|', names.Select(AnyCase))})\s*$");
        if (names.Contains("true", StringComparer.Ordinal))
        {
            yield return Of("boolean");
        }
    }

    private static string AnyCase(string name) =>
        string.Concat(name.Select(c => char.IsAsciiLetter(c) ? $"[{char.ToLowerInvariant(c)}{char.ToUpperInvariant(c)}]" : char.IsAsciiDigit(c) ? c.ToString() : $"\\{c}"));

    private static string List(Setting setting) => setting.Unit is "int"
        ? $$$"""{"type":"array","items":{"anyOf":[{{{Of("integer", setting)}}},{{{Text(@"^[+-]?[0-9]+$")}}}]}}"""
        : """{"type":"array","items":{"type":["string","integer"]}}""";

    private static string Bounded(Setting setting)
    {
        var bounds = setting.Min.Length > 0 ? $",\"minLength\":{setting.Min}" : "";
        bounds += setting.Max.Length > 0 ? $",\"maxLength\":{setting.Max}" : "";
        return $$"""{"type":"string"{{bounds}}}""";
    }

    private static string Of(string type, Setting? setting = null)
    {
        var bounds = setting is { Min.Length: > 0 } ? $",\"minimum\":{setting.Min}" : "";
        bounds += setting is { Max.Length: > 0 } ? $",\"maximum\":{setting.Max}" : "";
        return $$"""{"type":"{{type}}"{{bounds}}}""";
    }

    private static string Text(string pattern) =>
        $$"""{"type":"string","pattern":{{Json(string.Equals(pattern, Reference, StringComparison.Ordinal) ? pattern : $"{pattern}|{Reference}")}}}""";

    private static string? TypedDefault(Setting setting)
    {
        if (setting.Default.Length == 0 || setting.IsRequired || setting.Default.AsSpan().IndexOfAny("{|?") >= 0)
        {
            return null;
        }

        return setting.Kind switch
        {
            SettingKind.Bool or SettingKind.Int => setting.Default,
            SettingKind.Float or SettingKind.Duration or SettingKind.Size => decimal.Parse(setting.Default, NumberStyles.Float, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture),
            SettingKind.List when setting.IsSelection => setting.Default,
            SettingKind.List or SettingKind.Set => "[" + string.Join(',', setting.Default.Split(',').Select(Json)) + "]",
            _ => Json(setting.Default),
        };
    }

    private static string Json(string text) => $"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";

    private sealed class Table
    {
        public SortedDictionary<string, Table> Children { get; } = new(StringComparer.Ordinal);

        public Table? Star { get; private set; }

        public Setting? Setting { get; private set; }

        /// <summary>Whether it is written as an array of tables.</summary>
        public bool IsPositional { get; private set; }

        public void Add(string[] parts, Setting setting)
        {
            var node = this;
            for (var i = 0; i < parts.Length; i++)
            {
                var part = parts[i];
                if (part is "*")
                {
                    node.IsPositional = PositionalTables.Has(parts[..i]);
                    node = node.Star ??= new Table();
                }
                else if (node.Children.TryGetValue(part, out var child))
                {
                    node = child;
                }
                else
                {
                    node.Children[part] = node = new Table();
                }
            }

            node.Setting = setting;
        }
    }
}
