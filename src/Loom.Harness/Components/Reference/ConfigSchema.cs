using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Loom.Harness.Components.Options;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.Reference;

/// <summary>JSON Schema of a component's config, made from the options record the binder fills.</summary>
internal static class ConfigSchema
{
    public static JsonObject Of(Type options)
    {
        var shape = OptionsShape.Of(options);
        var defaults = OptionsJson.Element(shape.Create());
        var properties = new JsonObject();
        foreach (var key in shape.Keys)
        {
            var schema = Value(key, key.Type);
            if (key.Description.Length > 0)
            {
                schema["description"] = key.Description;
            }

            if (!key.Required && defaults.TryGetProperty(key.Name, out var standard) && !IsEmpty(standard))
            {
                schema["default"] = JsonNode.Parse(standard.GetRawText());
            }

            if (key.Hot)
            {
                schema["x-hot"] = true;
            }

            properties[key.Name] = schema;
        }

        var result = new JsonObject { ["type"] = "object", ["additionalProperties"] = false, ["properties"] = properties };
        if (shape.Keys.Any(k => k.Required))
        {
            result["required"] = new JsonArray([.. shape.Keys.Where(k => k.Required).Select(k => (JsonNode)JsonValue.Create(k.Name))]);
        }

        return result;
    }

    /// <summary>The type of a key in words.</summary>
    public static string TypeOf(OptionKey key) => Word(key, key.Type);

    /// <summary>The default of a key as YAML writes it; empty when it is unset.</summary>
    public static string DefaultOf(OptionKey key, JsonElement defaults) =>
        key.Required ? "required" : defaults.TryGetProperty(key.Name, out var value) && !IsEmpty(value) ? value.ValueKind == JsonValueKind.String ? value.GetString()! : value.GetRawText() : "";

    private static bool IsEmpty(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined => true,
        JsonValueKind.String => value.GetString()!.Length == 0,
        JsonValueKind.Array => value.GetArrayLength() == 0,
        JsonValueKind.Object => !value.EnumerateObject().Any(),
        _ => false,
    };

    private static JsonObject Value(OptionKey key, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type == typeof(JsonElement))
        {
            return [];
        }

        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>))
        {
            return new JsonObject { ["type"] = "array", ["items"] = Value(key, type.GetGenericArguments()[0]) };
        }

        if (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>))
        {
            return new JsonObject { ["type"] = "object", ["additionalProperties"] = Value(key, type.GetGenericArguments()[1]) };
        }

        if (OptionsShape.IsNested(type))
        {
            return Of(type);
        }

        var result = new JsonObject
        {
            ["type"] = type == typeof(bool) ? "boolean" : type == typeof(int) || type == typeof(long) ? "integer" : type == typeof(double) ? "number" : type == typeof(TimeSpan) ? key.Unit == "ms" ? "number" : null : "string",
        };
        if (type == typeof(TimeSpan) && key.Unit != "ms")
        {
            result["type"] = new JsonArray("number", "string");
        }

        if (type.IsEnum)
        {
            result["enum"] = new JsonArray([.. Enum.GetNames(type).Select(n => (JsonNode)JsonValue.Create(OptionKey.NameOf(n)))]);
        }

        if (key.Allowed is { } allowed)
        {
            result["enum"] = new JsonArray([.. allowed.Select(a => (JsonNode?)JsonValue.Create(a?.ToString()))]);
        }

        if (key.Range is { } range && range.OperandType != typeof(TimeSpan))
        {
            result["minimum"] = JsonValue.Create(Convert.ToDouble(range.Minimum, CultureInfo.InvariantCulture));
            result["maximum"] = JsonValue.Create(Convert.ToDouble(range.Maximum, CultureInfo.InvariantCulture));
        }

        if (type == typeof(Uri))
        {
            result["format"] = "uri";
        }

        return result;
    }

    private static string Word(OptionKey key, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) ? $"list of {Word(key, type.GetGenericArguments()[0])}"
            : type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>) ? $"map of {Word(key, type.GetGenericArguments()[1])}"
            : type == typeof(JsonElement) ? "any"
            : type == typeof(string) ? "text"
            : type == typeof(bool) ? "bool"
            : type == typeof(int) || type == typeof(long) ? key.Unit == "bytes" ? "size" : "int"
            : type == typeof(double) ? "number"
            : type == typeof(TimeSpan) ? key.Unit == "ms" ? "ms" : "time"
            : type == typeof(Uri) ? "url"
            : type == typeof(Expression) ? "expression"
            : type == typeof(MetricExpression) ? "condition over metrics"
            : type == typeof(Template) ? "template"
            : type.IsEnum ? "name"
            : "map";
    }
}
