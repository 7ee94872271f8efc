using System.Text.Json;
using System.Text.RegularExpressions;
using Newtonsoft.Json.Linq;

namespace Loom.Harness.Schemas;

/// <summary>Writes schemas and payloads in the form on which the library judges as JSON Schema does.</summary>
internal static partial class LibraryRewrite
{
    // One character as people count them; the library's own lengths count halves of pairs.
    private const string Character = @"(?>[\uD800-\uDBFF][\uDC00-\uDFFF]|[\s\S])";

    // Marks the choice an enum was turned into.
    private const string ValuesMark = "x-loom-values";

    // Marks the number an integer was turned into.
    private const string IntegerMark = "x-loom-integer";

    private static readonly string[] s_ofSchemas = ["properties", "patternProperties", "definitions", "$defs"];

    /// <summary>The schema in the library's terms.</summary>
    public static JToken Of(JsonElement schema)
    {
        if (schema.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return schema.ValueKind == JsonValueKind.True ? new JObject() : new JObject { ["not"] = new JObject() };
        }

        var result = new JObject();
        var all = new JArray();
        foreach (var keyword in schema.EnumerateObject().Where(k => !SchemaKeywords.IsNote(k.Name)))
        {
            Rewrite(keyword.Name, keyword.Value, schema, result, all);
        }

        foreach (var choice in new[] { "anyOf", "oneOf", "allOf" })
        {
            // The library takes a lone reference for the whole schema and forgets what stands beside it.
            if (result[choice] is JArray { Count: 1 } alone && result.Count > 1)
            {
                result.Remove(choice);
                all.Add(alone[0]);
                all.Add(new JObject());
            }
        }

        if (result["$ref"] is { } reference && (result.Count > 1 || all.Count > 0))
        {
            result.Remove("$ref");
            all.Add(new JObject { ["$ref"] = reference });
            all.Add(new JObject());
        }

        if (all.Count > 0)
        {
            result["allOf"] = result["allOf"] is JArray own ? new JArray(own.Concat(all)) : all;
        }

        return result;
    }

    /// <summary>The payload in the library's terms: names sorted, whole numbers as integers.</summary>
    public static JToken Payload(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                var map = new SortedDictionary<string, JToken>(StringComparer.Ordinal);
                foreach (var member in value.EnumerateObject())
                {
                    map[member.Name] = Payload(member.Value);
                }

                return new JObject(map.Select(m => new JProperty(m.Key, m.Value)));
            case JsonValueKind.Array:
                return new JArray(value.EnumerateArray().Select(Payload));
            case JsonValueKind.String:
                return new JValue(value.GetString());
            case JsonValueKind.Number:
                return Number(value);
            case JsonValueKind.True or JsonValueKind.False:
                return new JValue(value.ValueKind == JsonValueKind.True);
            default:
                return JValue.CreateNull();
        }
    }

    public static bool IsValues(NJsonSchema.JsonSchema? schema) => schema?.ExtensionData?.ContainsKey(ValuesMark) == true;

    public static bool IsInteger(NJsonSchema.JsonSchema? schema) => schema?.ExtensionData?.ContainsKey(IntegerMark) == true;

    /// <summary>What a pattern made of lengths says; null for a pattern of the user's.</summary>
    public static string? LengthText(string? pattern)
    {
        if (pattern is null || !pattern.StartsWith($"^{Character}{{", StringComparison.Ordinal))
        {
            return null;
        }

        var bounds = pattern[(Character.Length + 2)..pattern.LastIndexOf('}')].Split(',');
        return bounds[1].Length == 0 ? $"must have at least {bounds[0]} characters" : $"must have at most {bounds[1]} characters";
    }

    private static void Rewrite(string name, JsonElement value, JsonElement schema, JObject result, JArray all)
    {
        switch (name)
        {
            case "type" when Mentions(value, "integer") || Mentions(value, "null"):
                all.Add(Types(value));
                break;
            case "enum":
                all.Add(Values([.. value.EnumerateArray()]));
                break;
            case "const":
                all.Add(Values([value]));
                break;
            case "required" when !IsObjectOnly(schema):
                // Asked of objects alone.
                all.Add(new JObject
                {
                    ["anyOf"] = new JArray(
                        new JObject { ["not"] = new JObject { ["type"] = "object" } },
                        new JObject { ["type"] = "object", ["required"] = Payload(value) }),
                });
                break;
            case "maxItems" or "maxProperties" when value.GetInt32() == 0:
                // To the library 0 is no limit.
                all.Add(new JObject
                {
                    ["not"] = name == "maxItems" ? new JObject { ["type"] = "array", ["minItems"] = 1 } : new JObject { ["type"] = "object", ["minProperties"] = 1 },
                });
                break;
            case "minLength":
                all.Add(new JObject { ["pattern"] = $"^{Character}{{{value.GetInt32()},}}\\z" });
                break;
            case "maxLength":
                all.Add(new JObject { ["pattern"] = $"^{Character}{{0,{value.GetInt32()}}}\\z" });
                break;
            case "allOf" or "anyOf" or "oneOf":
                result[name] = new JArray(value.EnumerateArray().Select(Of));
                break;
            case "items" when value.ValueKind == JsonValueKind.Array:
                result[name] = new JArray(value.EnumerateArray().Select(Of));
                break;
            case "items" or "not":
                result[name] = Of(value);
                break;
            case "additionalProperties" or "additionalItems":
                result[name] = value.ValueKind is JsonValueKind.True or JsonValueKind.False ? Payload(value) : Of(value);
                break;
            case var _ when s_ofSchemas.Contains(name):
                result[name] = new JObject(value.EnumerateObject().Select(p => new JProperty(p.Name, Of(p.Value))));
                break;
            default:
                result[name] = Payload(value);
                break;
        }
    }

    // A schema of its own: a property that may be null counts as fine to the library when it is null, whatever else is asked of it. And integers
    // are told there by their spelling, up to 64 bits.
    private static JObject Types(JsonElement types)
    {
        var names = types.ValueKind == JsonValueKind.String ? [types.GetString()!] : types.EnumerateArray().Select(t => t.GetString()!).ToList();
        var result = new JObject { ["type"] = new JArray(names.Select(n => n == "integer" ? "number" : n).Distinct()) };
        if (names.Contains("integer") && !names.Contains("number"))
        {
            result["multipleOf"] = 1;
            result[IntegerMark] = true;
        }

        if (names.Count == 1)
        {
            result["type"] = result["type"]![0];
        }

        return result;
    }

    private static bool Mentions(JsonElement types, string type) =>
        types.ValueKind == JsonValueKind.String ? types.ValueEquals(type) : types.EnumerateArray().Any(t => t.ValueEquals(type));

    private static bool IsObjectOnly(JsonElement schema) =>
        schema.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.ValueEquals("object");

    // The library compares values by their text, which beside the type is exact, and reads texts that look like times as times: those become a pattern.
    private static JObject Values(IReadOnlyCollection<JsonElement> values)
    {
        if (values.FirstOrDefault(v => v.ValueKind is JsonValueKind.Array or JsonValueKind.Object && TimeInside().IsMatch(v.GetRawText())) is { ValueKind: not JsonValueKind.Undefined } odd)
        {
            throw new SchemaException("", $"an enum or const cannot hold an object or array with a time in it: {odd.GetRawText()}; describe it by properties");
        }

        var choices = values.Select(Payload).GroupBy(TypeName, StringComparer.Ordinal).SelectMany(g => g.Key switch
        {
            "string" => [new JObject { ["type"] = g.Key, ["pattern"] = $"^(?:{string.Join('|', g.Select(v => Regex.Escape((string)v!)))})\\z" }],
            "number" => g.Select(v => new JObject { ["type"] = g.Key, ["minimum"] = v, ["maximum"] = v }),
            _ => [new JObject { ["type"] = g.Key, ["enum"] = new JArray(g) }],
        });
        return new JObject { ["anyOf"] = new JArray(choices), [ValuesMark] = true };
    }

    private static string TypeName(JToken value) => value.Type switch
    {
        JTokenType.Object => "object",
        JTokenType.Array => "array",
        JTokenType.String => "string",
        JTokenType.Boolean => "boolean",
        JTokenType.Null => "null",
        _ => "number",
    };

    private static JValue Number(JsonElement value)
    {
        if (value.TryGetInt64(out var integer))
        {
            return new JValue(integer);
        }

        // The library compares with bounds as decimals, and a double would lose digits on its way there.
        return value.TryGetDecimal(out var exact)
            ? exact == decimal.Truncate(exact) && Math.Abs(exact) < long.MaxValue ? new JValue((long)exact) : new JValue(exact)
            : new JValue(value.GetDouble());
    }

    [GeneratedRegex("\"[0-9]{4}-[0-9]{2}-[0-9]{2}T", RegexOptions.None, 1000)]
    private static partial Regex TimeInside();
}
