using System.Collections.Frozen;
using System.Text.Json;
using System.Text.RegularExpressions;
using Loom.Harness.Expressions;
using Loom.Harness.Secrets;

namespace Loom.Harness.Schemas;

/// <summary>Looks through a whole schema for anything that would not be checked, so that nothing is ever ignored in silence.</summary>
internal static class SchemaKeywords
{
    /// <summary>Schemas within schemas; deeper ones are refused.</summary>
    private const int DepthLimit = 60;

    private static readonly FrozenSet<string> s_notes = FrozenSet.Create(
        StringComparer.Ordinal, "$schema", "$id", "id", "$comment", "title", "description", "default", "examples", "example", "deprecated", "readOnly", "writeOnly");

    private static readonly FrozenSet<string> s_known = FrozenSet.Create(
        StringComparer.Ordinal, "type", "required", "properties", "additionalProperties", "items", "additionalItems", "enum", "const", "minimum", "maximum",
        "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems",
        "minProperties", "maxProperties", "patternProperties", "allOf", "anyOf", "oneOf", "not", "$ref", "definitions", "$defs");

    private static readonly string[] s_formats =
        ["date-time", "date", "time", "email", "uuid", "guid", "hostname", "ipv4", "ipv6", "uri", "byte", "base64"];

    private static readonly string[] s_types = ["null", "boolean", "object", "array", "number", "integer", "string"];

    public static bool IsNote(string name) => s_notes.Contains(name) || name.StartsWith("x-", StringComparison.Ordinal);

    /// <exception cref="SchemaException">The first keyword that is wrong, and where.</exception>
    public static void Check(JsonElement schema) => Check(schema, schema, "", 0);

    private static void Check(JsonElement schema, JsonElement root, string at, int depth)
    {
        if (schema.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return;
        }

        if (schema.ValueKind != JsonValueKind.Object)
        {
            throw new SchemaException(at, $"a schema is an object, true or false, not {Named(schema.ValueKind)}");
        }

        if (depth > DepthLimit)
        {
            throw new SchemaException(at, $"schemas are nested more than {DepthLimit} deep");
        }

        foreach (var keyword in schema.EnumerateObject())
        {
            if (keyword.Name == "x-secret")
            {
                CheckSecret(keyword.Value, $"{at}/x-secret");
            }
            else if (!IsNote(keyword.Name))
            {
                CheckKeyword(keyword.Name, keyword.Value, root, $"{at}/{Escape(keyword.Name)}", depth);
            }
        }

        if (schema.TryGetProperty("additionalItems", out _) && !(schema.TryGetProperty("items", out var items) && items.ValueKind == JsonValueKind.Array))
        {
            throw new SchemaException($"{at}/additionalItems", "additionalItems means something only beside items that is a list of schemas");
        }
    }

    private static void CheckKeyword(string name, JsonElement value, JsonElement root, string at, int depth)
    {
        switch (name)
        {
            case "type":
                CheckTypes(value, at);
                break;
            case "required":
                _ = Texts(value, at);
                break;
            case "properties" or "patternProperties" or "definitions" or "$defs":
                Require(value, JsonValueKind.Object, at);
                foreach (var member in value.EnumerateObject())
                {
                    if (name == "patternProperties")
                    {
                        CheckPattern(member.Name, $"{at}/{Escape(member.Name)}");
                    }

                    Check(member.Value, root, $"{at}/{Escape(member.Name)}", depth + 1);
                }

                break;
            case "allOf" or "anyOf" or "oneOf":
                CheckAll(value, root, at, depth);
                break;
            case "items" when value.ValueKind == JsonValueKind.Array:
                CheckAll(value, root, at, depth);
                break;
            case "not" when SecretSchema.Of(value) is not null:
                throw new SchemaException(at, "x-secret marks nothing within not, which says what is not there; write it beside not");
            case "additionalProperties" or "items" or "additionalItems" or "not":
                Check(value, root, at, depth + 1);
                break;
            case "enum" when value.ValueKind != JsonValueKind.Array || value.GetArrayLength() == 0:
                throw new SchemaException(at, "enum is a list of at least one value");
            case "enum" or "const":
                break;
            case "exclusiveMinimum" or "exclusiveMaximum" when value.ValueKind is JsonValueKind.True or JsonValueKind.False:
                break;
            case "minimum" or "maximum" or "exclusiveMinimum" or "exclusiveMaximum":
                Require(value, JsonValueKind.Number, at);
                break;
            case "multipleOf":
                Require(value, JsonValueKind.Number, at);
                _ = value.GetDouble() > 0 ? 0 : throw new SchemaException(at, "multipleOf is larger than 0");
                break;
            case "minLength" or "maxLength" or "minItems" or "maxItems" or "minProperties" or "maxProperties":
                _ = value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var count) && count >= 0
                    ? 0 : throw new SchemaException(at, $"{name} is a whole number of at least 0");
                break;
            case "uniqueItems":
                _ = value.ValueKind is JsonValueKind.True or JsonValueKind.False ? 0 : throw new SchemaException(at, "uniqueItems is true or false");
                break;
            case "pattern":
                Require(value, JsonValueKind.String, at);
                CheckPattern(value.GetString()!, at);
                break;
            case "format":
                Require(value, JsonValueKind.String, at);
                _ = s_formats.Contains(value.GetString()) ? 0
                    : throw new SchemaException(at, $"the format \"{value.GetString()}\" is not checked by anyone (formats: {string.Join(", ", s_formats)}); use pattern or bounds");
                break;
            case "$ref":
                Require(value, JsonValueKind.String, at);
                CheckReference(value.GetString()!, root, at);
                break;
            default:
                var near = Scope.Nearest(name, s_known) is { } known ? $"; did you mean \"{known}\"?" : "";
                throw new SchemaException(at, $"the keyword \"{name}\" is not supported{near} (notes of your own begin with \"x-\")");
        }
    }

    private static void CheckAll(JsonElement list, JsonElement root, string at, int depth)
    {
        if (list.ValueKind != JsonValueKind.Array || list.GetArrayLength() == 0)
        {
            throw new SchemaException(at, "a list of at least one schema is expected");
        }

        var index = 0;
        foreach (var schema in list.EnumerateArray())
        {
            Check(schema, root, $"{at}/{index++}", depth + 1);
        }
    }

    // What is meant to mark a field and does not would show it to everybody.
    private static void CheckSecret(JsonElement value, string at)
    {
        if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
        {
            throw new SchemaException(at, $"x-secret is true or false, not {Named(value.ValueKind)}");
        }
    }

    private static void CheckTypes(JsonElement value, string at)
    {
        foreach (var type in value.ValueKind == JsonValueKind.String ? [value.GetString()!] : Texts(value, at))
        {
            if (!s_types.Contains(type))
            {
                var near = (type is "int" ? "integer" : type is "bool" ? "boolean" : Scope.Nearest(type, s_types)) is { } known ? $"; did you mean \"{known}\"?" : "";
                throw new SchemaException(at, $"there is no type \"{type}\"{near} (types: {string.Join(", ", s_types)})");
            }
        }
    }

    private static void CheckPattern(string pattern, string at)
    {
        try
        {
            _ = new Regex(pattern, RegexOptions.None, TimeSpan.FromSeconds(1));
        }
        catch (ArgumentException e)
        {
            throw new SchemaException(at, $"the pattern cannot be read: {e.Message}");
        }
    }

    // Only inside the schema itself: a reference to elsewhere would be fetched over a network by whoever runs the system.
    private static void CheckReference(string reference, JsonElement root, string at)
    {
        if (!reference.StartsWith('#'))
        {
            throw new SchemaException(at, $"\"{reference}\" lies outside this schema; put it into \"$defs\" and refer to \"#/$defs/NAME\"");
        }

        var place = root;
        foreach (var part in reference.TrimStart('#').Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var name = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (place.ValueKind == JsonValueKind.Object && place.TryGetProperty(name, out var member))
            {
                place = member;
            }
            else if (place.ValueKind == JsonValueKind.Array && int.TryParse(name, out var index) && index >= 0 && index < place.GetArrayLength())
            {
                place = place[index];
            }
            else
            {
                throw new SchemaException(at, $"\"{reference}\" leads nowhere: there is no \"{name}\"");
            }
        }
    }

    private static List<string> Texts(JsonElement value, string at)
    {
        if (value.ValueKind != JsonValueKind.Array || value.EnumerateArray().Any(v => v.ValueKind != JsonValueKind.String))
        {
            throw new SchemaException(at, "a list of strings is expected");
        }

        return [.. value.EnumerateArray().Select(v => v.GetString()!)];
    }

    private static void Require(JsonElement value, JsonValueKind kind, string at)
    {
        if (value.ValueKind != kind)
        {
            throw new SchemaException(at, $"{Named(kind)} is expected here, not {Named(value.ValueKind)}");
        }
    }

    public static string Named(JsonValueKind kind) => kind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.True or JsonValueKind.False => "a boolean",
        _ => "null",
    };

    private static string Escape(string name) => name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);
}
