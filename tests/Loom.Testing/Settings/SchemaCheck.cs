using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Loom.Core.Toml;

namespace Loom.Testing.Settings;

/// <summary>
/// Judges a <c>loom.toml</c> by a JSON Schema as an editor does. Knows the words of draft 7 that our schema uses and refuses others, so that it never agrees by
/// ignorance.
/// </summary>
public sealed class SchemaCheck(string schema)
{
    private readonly JsonObject _schema = (JsonObject)JsonNode.Parse(schema)!;

    /// <summary>Where the document breaks the schema; empty = valid.</summary>
    public IReadOnlyList<string> Faults(ReadOnlyMemory<byte> toml)
    {
        var faults = new List<string>();
        Check(_schema, Json(TomlParser.Parse(toml.Span).Root), "", faults);
        return faults;
    }

    private static void Check(JsonObject schema, JsonNode value, string place, List<string> faults)
    {
        foreach (var (word, rule) in schema)
        {
            var ok = word switch
            {
                "$schema" or "title" or "description" or "default" or "properties" or "additionalProperties" => true,
                "type" => Types(rule!).Any(t => IsOf(value, t)),
                "enum" => rule!.AsArray().Any(a => JsonNode.DeepEquals(a, value)),
                "anyOf" => rule!.AsArray().Any(a => Fits((JsonObject)a!, value, place)),
                "required" => value is not JsonObject table || rule!.AsArray().All(n => table.ContainsKey(n!.GetValue<string>())),
                "items" => value is not JsonArray items || items.All(i => Fits((JsonObject)rule!, i!, place)),
                "pattern" => Text(value) is not { } text || Regex.IsMatch(text, rule!.GetValue<string>()),
                "minLength" => Text(value) is not { } text || text.EnumerateRunes().Count() >= rule!.GetValue<int>(),
                "maxLength" => Text(value) is not { } text || text.EnumerateRunes().Count() <= rule!.GetValue<int>(),
                "minimum" => Number(value) is not { } number || number >= rule!.GetValue<double>(),
                "maximum" => Number(value) is not { } number || number <= rule!.GetValue<double>(),
                _ => throw new NotSupportedException($"the schema uses '{word}', which this check does not know"),
            };
            if (!ok)
            {
                faults.Add($"{place}: {word}");
            }
        }

        Members(schema, value, place, faults);
    }

    private static void Members(JsonObject schema, JsonNode value, string place, List<string> faults)
    {
        if (value is not JsonObject table)
        {
            return;
        }

        var known = schema["properties"] as JsonObject;
        foreach (var (name, member) in table)
        {
            var at = place.Length == 0 ? name : $"{place}.{name}";
            if ((known?[name] ?? schema["additionalProperties"]) is JsonObject rule)
            {
                Check(rule, member!, at, faults);
            }
            else if (schema["additionalProperties"] is JsonValue none && !none.GetValue<bool>())
            {
                faults.Add($"{at}: unknown");
            }
        }
    }

    private static bool Fits(JsonObject schema, JsonNode value, string place)
    {
        var faults = new List<string>();
        Check(schema, value, place, faults);
        return faults.Count == 0;
    }

    private static IEnumerable<string> Types(JsonNode rule) => rule is JsonArray several ? several.Select(t => t!.GetValue<string>()) : [rule.GetValue<string>()];

    private static bool IsOf(JsonNode value, string type) => type switch
    {
        "object" => value is JsonObject,
        "array" => value is JsonArray,
        "integer" => Number(value) is { } number && number == Math.Floor(number),
        "number" => value.GetValueKind() == JsonValueKind.Number,
        "string" => value.GetValueKind() == JsonValueKind.String,
        "boolean" => value.GetValueKind() is JsonValueKind.True or JsonValueKind.False,
        _ => throw new NotSupportedException($"the schema uses type '{type}', which this check does not know"),
    };

    private static string? Text(JsonNode value) => value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    private static double? Number(JsonNode value) =>
        value.GetValueKind() == JsonValueKind.Number ? double.Parse(value.ToJsonString(), NumberStyles.Float, CultureInfo.InvariantCulture) : null;

    private static JsonNode Json(TomlValue value) => value switch
    {
        TomlTable table => new JsonObject(table.Entries.Select(e => KeyValuePair.Create(e.Key, (JsonNode?)Json(e.Value)))),
        TomlArray array => new JsonArray([.. array.Items.Select(Json)]),
        TomlString text => JsonValue.Create(text.Value),
        TomlInteger number => JsonValue.Create(number.Value),
        TomlFloat number when double.IsFinite(number.Value) => JsonValue.Create(number.Value),
        TomlFloat number => JsonValue.Create(number.Value.ToString(CultureInfo.InvariantCulture)),
        TomlBoolean flag => JsonValue.Create(flag.Value),
        TomlDateTime date => JsonValue.Create(date.Text),
        _ => throw new NotSupportedException(value.GetType().Name),
    };
}
