using System.Buffers;
using System.Text.Json;
using Loom.Harness.Expressions;

namespace Loom.Harness.Schemas;

/// <summary>Checks payloads in one pass over their bytes.</summary>
internal sealed class CompiledSchema(SchemaNode root)
{
    public SchemaFault? Check(ReadOnlySpan<byte> utf8Json)
    {
        var reader = new Utf8JsonReader(utf8Json);
        try
        {
            if (!reader.Read())
            {
                return new SchemaFault("", "is empty");
            }

            return Check(ref reader, root) ?? (reader.Read() ? new SchemaFault("", "is followed by more") : null);
        }
        catch (JsonException e)
        {
            return new SchemaFault("", $"is not JSON: {e.Message}");
        }
    }

    // The reader stands on the first word of a value and is left on its last.
    private static SchemaFault? Check(ref Utf8JsonReader reader, SchemaNode schema)
    {
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                return (schema.Types & SchemaTypes.Object) == 0 ? WrongType(schema, "an object") : CheckObject(ref reader, schema);
            case JsonTokenType.StartArray:
                return (schema.Types & SchemaTypes.Array) == 0 ? WrongType(schema, "an array") : CheckArray(ref reader, schema);
            case JsonTokenType.String:
                return (schema.Types & SchemaTypes.String) == 0 ? WrongType(schema, "a string") : CheckString(ref reader, schema);
            case JsonTokenType.Number:
                return CheckNumber(ref reader, schema);
            case JsonTokenType.Null:
                return (schema.Types & SchemaTypes.Null) == 0 ? WrongType(schema, "null") : CheckValues(ref reader, schema);
            default:
                return (schema.Types & SchemaTypes.Boolean) == 0 ? WrongType(schema, "a boolean") : CheckValues(ref reader, schema);
        }
    }

    private static SchemaFault? CheckObject(ref Utf8JsonReader reader, SchemaNode schema)
    {
        if (schema.Values is not null)
        {
            return NotAmong();
        }

        var seen = 0UL;
        var count = 0;
        var next = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            count++;
            var index = Find(ref reader, schema.Properties, next);
            if (index >= 0)
            {
                next = index + 1;
                seen |= index < 64 ? 1UL << index : 0;
            }

            var member = index >= 0 ? schema.Properties[index].Schema : schema.Additional;
            if (member is null)
            {
                reader.Skip();
                continue;
            }

            if (index < 0 && ReferenceEquals(member, SchemaNode.Nothing))
            {
                return new SchemaFault("", "is not allowed: the schema names all properties").Below(reader.GetString()!);
            }

            // A copy of the reader is all that is kept of a name nobody may ask for.
            var name = index < 0 ? reader : default;
            reader.Read();
            if (Check(ref reader, member) is { } fault)
            {
                return fault.Below(index < 0 ? name.GetString()! : schema.Properties[index].Name);
            }
        }

        var missing = schema.Required & ~seen;
        if (missing != 0)
        {
            return new SchemaFault("", "is required and missing").Below(schema.Properties[System.Numerics.BitOperations.TrailingZeroCount(missing)].Name);
        }

        return count < schema.MinProperties || count > schema.MaxProperties ? Outside("properties", count, schema.MinProperties, schema.MaxProperties) : null;
    }

    // Most payloads keep the order of their schema: the property behind the last one is tried first.
    private static int Find(ref Utf8JsonReader reader, SchemaProperty[] properties, int next)
    {
        for (var i = 0; i < properties.Length; i++)
        {
            var index = next + i < properties.Length ? next + i : next + i - properties.Length;
            if (reader.ValueTextEquals(properties[index].Utf8))
            {
                return index;
            }
        }

        return -1;
    }

    private static SchemaFault? CheckArray(ref Utf8JsonReader reader, SchemaNode schema)
    {
        if (schema.Values is not null)
        {
            return NotAmong();
        }

        var count = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (schema.Items is null)
            {
                reader.Skip();
            }
            else if (Check(ref reader, schema.Items) is { } fault)
            {
                return fault.Below(count.ToString(System.Globalization.CultureInfo.InvariantCulture));
            }

            count++;
        }

        return count < schema.MinItems || count > schema.MaxItems ? Outside("items", count, schema.MinItems, schema.MaxItems) : null;
    }

    private static SchemaFault? CheckString(ref Utf8JsonReader reader, SchemaNode schema)
    {
        if (schema.HasLengths)
        {
            var length = Length(ref reader);
            if (length < schema.MinLength || length > schema.MaxLength)
            {
                return Outside("characters", length, schema.MinLength, schema.MaxLength);
            }
        }

        return CheckValues(ref reader, schema);
    }

    private static SchemaFault? CheckNumber(ref Utf8JsonReader reader, SchemaNode schema)
    {
        var number = reader.TryGetInt64(out var integer) ? Value.Of(integer) : Value.Of(reader.GetDouble());
        var whole = number.Kind == Kind.Int || number.Double == Math.Truncate(number.Double);
        if ((schema.Types & (whole ? SchemaTypes.Integer : SchemaTypes.Number)) == 0)
        {
            return WrongType(schema, whole ? "an integer" : "a number");
        }

        if (schema.Minimum is { } minimum && !minimum.AdmitsAbove(number))
        {
            return new SchemaFault("", $"must be {(minimum.Exclusive ? "above" : "at least")} {minimum}");
        }

        if (schema.Maximum is { } maximum && !maximum.AdmitsBelow(number))
        {
            return new SchemaFault("", $"must be {(maximum.Exclusive ? "below" : "at most")} {maximum}");
        }

        if (schema.Values is null)
        {
            return null;
        }

        foreach (ref readonly var value in schema.Values.AsSpan())
        {
            if (value.Token == JsonTokenType.Number && Operators.Compare(value.Number, number) == 0)
            {
                return null;
            }
        }

        return NotAmong();
    }

    private static SchemaFault? CheckValues(ref Utf8JsonReader reader, SchemaNode schema)
    {
        if (schema.Values is null)
        {
            return null;
        }

        foreach (ref readonly var value in schema.Values.AsSpan())
        {
            if (value.Token == reader.TokenType && (value.Token != JsonTokenType.String || reader.ValueTextEquals(value.Utf8)))
            {
                return null;
            }
        }

        return NotAmong();
    }

    // Code points, counted where they stand: continuation bytes and the second half of an escaped pair do not begin one.
    private static int Length(ref Utf8JsonReader reader)
    {
        var text = reader.HasValueSequence ? reader.ValueSequence.ToArray() : reader.ValueSpan;
        if (!reader.ValueIsEscaped)
        {
            return Starts(text);
        }

        var length = 0;
        var high = false;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] != '\\')
            {
                length += (text[i] & 0xC0) != 0x80 ? 1 : 0;
                high = false;
                continue;
            }

            i++;
            if (text[i] != 'u')
            {
                length++;
                high = false;
                continue;
            }

            var unit = (Hex(text[i + 1]) << 12) | (Hex(text[i + 2]) << 8);
            i += 4;
            var isLow = (unit & 0xFC00) == 0xDC00;
            length += high && isLow ? 0 : 1;
            high = (unit & 0xFC00) == 0xD800;
        }

        return length;
    }

    private static int Starts(ReadOnlySpan<byte> text)
    {
        var continuations = 0;
        foreach (var b in text)
        {
            continuations += (sbyte)b < -64 ? 1 : 0;
        }

        return text.Length - continuations;
    }

    private static int Hex(byte digit) => digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;

    private static SchemaFault WrongType(SchemaNode schema, string found) =>
        new("", schema.Types == SchemaTypes.None ? "is not allowed" : $"must be {SchemaText.Of(schema.Types)}, not {found}");

    private static SchemaFault NotAmong() => new("", "is none of the values the schema allows");

    private static SchemaFault Outside(string what, int found, int least, int most) => new("", SchemaText.Outside(what, found, least, most));
}
