using System.Text;
using System.Text.Json;
using Loom.Harness.Expressions;

namespace Loom.Harness.Schemas;

/// <summary>Turns a schema of the simple keywords into nodes; anything else is left to the library.</summary>
internal static class SchemaCompiler
{
    private static readonly string[] s_simple =
    [
        "type", "required", "properties", "additionalProperties", "items", "enum", "const", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
        "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties",
    ];

    /// <summary>The nodes of a schema that has passed <see cref="SchemaKeywords"/>; null when it uses more than the simple keywords.</summary>
    public static SchemaNode? TryCompile(JsonElement schema)
    {
        if (schema.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return schema.ValueKind == JsonValueKind.True ? SchemaNode.Everything : SchemaNode.Nothing;
        }

        foreach (var keyword in schema.EnumerateObject())
        {
            if (!SchemaKeywords.IsNote(keyword.Name) && !s_simple.Contains(keyword.Name))
            {
                return null;
            }
        }

        var items = schema.TryGetProperty("items", out var member) ? member.ValueKind == JsonValueKind.Array ? null : TryCompile(member) : SchemaNode.Everything;
        var additional = schema.TryGetProperty("additionalProperties", out member) ? TryCompile(member) : SchemaNode.Everything;
        var values = Values(schema);
        var properties = Properties(schema, additional ?? SchemaNode.Everything);
        if (items is null || additional is null || values is [] || properties is not var (named, required))
        {
            return null;
        }

        return new SchemaNode
        {
            Types = Types(schema),
            Properties = named,
            Required = required,
            Additional = IsEverything(additional) ? null : additional,
            Items = IsEverything(items) ? null : items,
            Values = values,
            Minimum = Bound(schema, "minimum", "exclusiveMinimum", tighter: 1),
            Maximum = Bound(schema, "maximum", "exclusiveMaximum", tighter: -1),
            MinLength = Count(schema, "minLength", 0),
            MaxLength = Count(schema, "maxLength", int.MaxValue),
            MinItems = Count(schema, "minItems", 0),
            MaxItems = Count(schema, "maxItems", int.MaxValue),
            MinProperties = Count(schema, "minProperties", 0),
            MaxProperties = Count(schema, "maxProperties", int.MaxValue),
        };
    }

    private static bool IsEverything(SchemaNode node) => node.Types == SchemaTypes.Any && node.IsTypeOnly;

    private static SchemaTypes Types(JsonElement schema)
    {
        if (!schema.TryGetProperty("type", out var type))
        {
            return SchemaTypes.Any;
        }

        return type.ValueKind == JsonValueKind.String ? Type(type) : type.EnumerateArray().Aggregate(SchemaTypes.None, (all, one) => all | Type(one));
    }

    private static SchemaTypes Type(JsonElement name) => name.GetString() switch
    {
        "null" => SchemaTypes.Null,
        "boolean" => SchemaTypes.Boolean,
        "integer" => SchemaTypes.Integer,
        "number" => SchemaTypes.Integer | SchemaTypes.Number,
        "string" => SchemaTypes.String,
        "array" => SchemaTypes.Array,
        _ => SchemaTypes.Object,
    };

    // Required names without a schema of their own become properties under the rule for additional ones.
    private static (SchemaProperty[] Named, ulong Required)? Properties(JsonElement schema, SchemaNode additional)
    {
        var named = new List<SchemaProperty>();
        if (schema.TryGetProperty("properties", out var properties))
        {
            foreach (var property in properties.EnumerateObject())
            {
                if (TryCompile(property.Value) is not { } node)
                {
                    return null;
                }

                named.RemoveAll(p => p.Name == property.Name);
                named.Add(new SchemaProperty(property.Name, node));
            }
        }

        var required = 0UL;
        if (schema.TryGetProperty("required", out var names))
        {
            foreach (var name in names.EnumerateArray().Select(n => n.GetString()!))
            {
                var index = named.FindIndex(p => p.Name == name);
                if (index < 0)
                {
                    index = named.Count;
                    named.Add(new SchemaProperty(name, additional));
                }

                if (index >= 64)
                {
                    return null;
                }

                required |= 1UL << index;
            }
        }

        return ([.. named], required);
    }

    // Null: no enum; empty: one that only the library can check.
    private static SchemaValue[]? Values(JsonElement schema)
    {
        var hasEnum = schema.TryGetProperty("enum", out var list);
        var hasConst = schema.TryGetProperty("const", out var single);
        if (!hasEnum && !hasConst)
        {
            return null;
        }

        JsonElement[] all = hasEnum && hasConst ? [] : hasEnum ? [.. list.EnumerateArray()] : [single];
        return Array.Exists(all, v => v.ValueKind is JsonValueKind.Array or JsonValueKind.Object) ? [] : Array.ConvertAll(all, Value);
    }

    private static SchemaValue Value(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => new SchemaValue(JsonTokenType.String, Encoding.UTF8.GetBytes(value.GetString()!), default),
        JsonValueKind.Number => new SchemaValue(JsonTokenType.Number, [], Expressions.Value.Of(value)),
        JsonValueKind.True => new SchemaValue(JsonTokenType.True, [], default),
        JsonValueKind.False => new SchemaValue(JsonTokenType.False, [], default),
        _ => new SchemaValue(JsonTokenType.Null, [], default),
    };

    // Older drafts write exclusiveMinimum: true beside minimum; newer ones give it a number of its own.
    private static NumberBound? Bound(JsonElement schema, string inclusive, string exclusive, int tighter)
    {
        var plain = schema.TryGetProperty(inclusive, out var value) ? Expressions.Value.Of(value) : (Value?)null;
        if (!schema.TryGetProperty(exclusive, out var strict) || strict.ValueKind == JsonValueKind.False)
        {
            return plain is null ? null : new NumberBound(plain.Value, Exclusive: false);
        }

        if (strict.ValueKind == JsonValueKind.True)
        {
            return plain is null ? null : new NumberBound(plain.Value, Exclusive: true);
        }

        var bound = Expressions.Value.Of(strict);
        return plain is { } other && Operators.Compare(other, bound) * tighter > 0 ? new NumberBound(other, Exclusive: false) : new NumberBound(bound, Exclusive: true);
    }

    private static int Count(JsonElement schema, string name, int otherwise) => schema.TryGetProperty(name, out var value) ? value.GetInt32() : otherwise;
}
