using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Loom.Harness.Expressions;

/// <summary>Values as text and as JSON.</summary>
internal static class ValueText
{
    private static readonly JsonWriterOptions s_plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private static readonly JsonElement s_true = JsonElement.Parse("true");
    private static readonly JsonElement s_false = JsonElement.Parse("false");
    private static readonly JsonElement s_null = JsonElement.Parse("null");

    [ThreadStatic]
    private static ArrayBufferWriter<byte>? t_buffer;

    /// <summary>The text of a value: a string as it is, times and durations as they are written, everything else as JSON.</summary>
    /// <returns>False for a double JSON cannot write.</returns>
    public static bool TryOf(in Value value, out string text)
    {
        switch (value.Kind)
        {
            case Kind.String:
                text = value.String;
                return true;
            case Kind.Int:
                text = value.Int.ToString(CultureInfo.InvariantCulture);
                return true;
            case Kind.Bool:
                text = value.IsTrue ? "true" : "false";
                return true;
            case Kind.Null:
                text = "null";
                return true;
            case Kind.Timestamp:
                text = TimeText.Text(value.Timestamp);
                return true;
            case Kind.Duration:
                text = TimeText.Text(value.Duration);
                return true;
        }

        if (value.Json.ValueKind == JsonValueKind.Number)
        {
            text = value.Json.GetRawText();
            return true;
        }

        // Written anew, so that the text does not depend on the blanks of the payload.
        var buffer = Rent();
        if (!TryWrite(value, buffer))
        {
            text = "";
            return false;
        }

        text = Encoding.UTF8.GetString(buffer.WrittenSpan);
        return true;
    }

    /// <summary>The value as a payload; what came out of a payload unchanged is not copied.</summary>
    /// <returns>False for a double JSON cannot write.</returns>
    public static bool TryToJson(in Value value, out JsonElement json)
    {
        json = value.Json;
        if (json.ValueKind != JsonValueKind.Undefined)
        {
            return true;
        }

        switch (value.Kind)
        {
            case Kind.Null:
                json = s_null;
                return true;
            case Kind.Bool:
                json = value.IsTrue ? s_true : s_false;
                return true;
        }

        var buffer = Rent();
        if (!TryWrite(value, buffer))
        {
            return false;
        }

        json = JsonElement.Parse(buffer.WrittenSpan);
        return true;
    }

    /// <summary>Writes a value into an open writer.</summary>
    /// <returns>False for a double JSON cannot write.</returns>
    public static bool TryWrite(in Value value, Utf8JsonWriter writer)
    {
        if (value.Json.ValueKind != JsonValueKind.Undefined)
        {
            value.Json.WriteTo(writer);
            return true;
        }

        switch (value.Kind)
        {
            case Kind.Null:
                writer.WriteNullValue();
                return true;
            case Kind.Bool:
                writer.WriteBooleanValue(value.IsTrue);
                return true;
            case Kind.Int:
                writer.WriteNumberValue(value.Int);
                return true;
            case Kind.Double when double.IsFinite(value.Double):
                writer.WriteNumberValue(value.Double);
                return true;
            case Kind.String or Kind.Timestamp or Kind.Duration:
                TryOf(value, out var text);
                writer.WriteStringValue(text);
                return true;
            case Kind.List:
                return TryWriteList(value, writer);
            case Kind.Map:
                return TryWriteMap(value, writer);
            default:
                return false;
        }
    }

    private static bool TryWrite(in Value value, ArrayBufferWriter<byte> buffer)
    {
        using var writer = new Utf8JsonWriter(buffer, s_plain);
        return TryWrite(value, writer);
    }

    private static bool TryWriteList(in Value value, Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        for (var items = new Items(value); items.MoveNext();)
        {
            if (!TryWrite(items.Current, writer))
            {
                return false;
            }
        }

        writer.WriteEndArray();
        return true;
    }

    private static bool TryWriteMap(in Value value, Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        for (var items = new Items(value); items.MoveNext();)
        {
            writer.WritePropertyName(items.Name);
            if (!TryWrite(items.Member, writer))
            {
                return false;
            }
        }

        writer.WriteEndObject();
        return true;
    }

    private static ArrayBufferWriter<byte> Rent()
    {
        var buffer = t_buffer ??= new ArrayBufferWriter<byte>(256);
        if (buffer.Capacity > 1 << 20)
        {
            buffer = t_buffer = new ArrayBufferWriter<byte>(256);
        }

        buffer.ResetWrittenCount();
        return buffer;
    }
}
