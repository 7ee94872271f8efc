using System.Buffers.Text;
using System.Text.Json;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>What a column's text stands for.</summary>
internal enum CsvType
{
    String,
    Int,
    Float,
    Bool,
    Json,

    /// <summary>A number, a truth value or text, by what it looks like; quoted fields are text.</summary>
    Auto,
}

/// <summary>Writes a field as a JSON value of its column's type.</summary>
internal static class CsvTypes
{
    /// <summary>Writes it. An empty field of any type but string is null.</summary>
    /// <exception cref="JsonException">The text is no such value.</exception>
    public static void Write(Utf8JsonWriter json, JsonEncodedText name, ReadOnlySpan<byte> text, CsvType type, bool quoted)
    {
        json.WritePropertyName(name);
        if (type == CsvType.String || (type == CsvType.Auto && quoted))
        {
            WriteText(json, text);
        }
        else if (text.IsEmpty)
        {
            json.WriteNullValue();
        }
        else if (!TryWrite(json, text.Trim((byte)' '), type))
        {
            if (type != CsvType.Auto)
            {
                throw new JsonException($"column \"{name}\": '{Shown(text)}' is no {Enum.GetName(type)!.ToLowerInvariant()}");
            }

            WriteText(json, text);
        }
    }

    private static bool TryWrite(Utf8JsonWriter json, ReadOnlySpan<byte> text, CsvType type)
    {
        if (type is CsvType.Int or CsvType.Auto && Utf8Parser.TryParse(text, out long whole, out var used) && used == text.Length && IsPlain(text, type))
        {
            json.WriteNumberValue(whole);
            return true;
        }

        if (type is CsvType.Float or CsvType.Auto && Utf8Parser.TryParse(text, out double number, out used) && used == text.Length && double.IsFinite(number) && IsPlain(text, type))
        {
            json.WriteNumberValue(number);
            return true;
        }

        if (type is CsvType.Bool or CsvType.Auto && Truth(text, type) is { } truth)
        {
            json.WriteBooleanValue(truth);
            return true;
        }

        if (type == CsvType.Json)
        {
            json.WriteRawValue(text);
            return true;
        }

        return false;
    }

    // A number that begins with a zero or a plus sign is a code (a postal code, a telephone number) unless the column is said to hold numbers.
    private static bool IsPlain(ReadOnlySpan<byte> text, CsvType type) =>
        type != CsvType.Auto || (text[0] is (byte)'-' or (>= (byte)'1' and <= (byte)'9')) || text.Length == 1 || (text[0] == '0' && text[1] == '.');

    private static bool? Truth(ReadOnlySpan<byte> text, CsvType type)
    {
        if (Ascii(text, "true"u8) || (type == CsvType.Bool && (Ascii(text, "yes"u8) || Ascii(text, "on"u8) || text.SequenceEqual("1"u8))))
        {
            return true;
        }

        return Ascii(text, "false"u8) || (type == CsvType.Bool && (Ascii(text, "no"u8) || Ascii(text, "off"u8) || text.SequenceEqual("0"u8))) ? false : null;
    }

    private static bool Ascii(ReadOnlySpan<byte> text, ReadOnlySpan<byte> word) => System.Text.Ascii.EqualsIgnoreCase(text, word);

    private static void WriteText(Utf8JsonWriter json, ReadOnlySpan<byte> text)
    {
        if (System.Text.Unicode.Utf8.IsValid(text))
        {
            json.WriteStringValue(text);
        }
        else
        {
            json.WriteStringValue(System.Text.Encoding.UTF8.GetString(text));
        }
    }

    private static string Shown(ReadOnlySpan<byte> text)
    {
        var shown = System.Text.Encoding.UTF8.GetString(text);
        return shown.Length > 40 ? shown[..40] + "…" : shown;
    }
}
