using System.Buffers;
using System.Collections;
using System.Text.Json;

namespace Loom.Harness.Components.Options;

/// <summary>Options as JSON, every default filled in; keys without a value are left out.</summary>
internal static class OptionsJson
{
    public static JsonElement Element(object options)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            Record(writer, options);
        }

        using var document = JsonDocument.Parse(buffer.WrittenMemory);
        return document.RootElement.Clone();
    }

    private static void Record(Utf8JsonWriter writer, object options)
    {
        writer.WriteStartObject();
        foreach (var key in OptionsShape.Of(options.GetType()).Keys)
        {
            if (key.Property.GetValue(options) is { } value && value is not JsonElement { ValueKind: JsonValueKind.Undefined })
            {
                writer.WritePropertyName(key.Name);
                Value(writer, key, value);
            }
        }

        writer.WriteEndObject();
    }

    private static void Value(Utf8JsonWriter writer, OptionKey key, object value)
    {
        switch (value)
        {
            case string text:
                writer.WriteStringValue(text);
                break;
            case bool flag:
                writer.WriteBooleanValue(flag);
                break;
            case int or long:
                writer.WriteNumberValue(Convert.ToInt64(value, System.Globalization.CultureInfo.InvariantCulture));
                break;
            case double number when double.IsFinite(number):
                writer.WriteNumberValue(number);
                break;
            case TimeSpan time:
                writer.WriteNumberValue(key.Unit == "ms" ? time.TotalMilliseconds : time.TotalSeconds);
                break;
            case Enum name:
                writer.WriteStringValue(OptionKey.NameOf(name.ToString()));
                break;
            case JsonElement element:
                element.WriteTo(writer);
                break;
            case IDictionary map:
                writer.WriteStartObject();
                foreach (DictionaryEntry entry in map)
                {
                    writer.WritePropertyName((string)entry.Key);
                    Value(writer, key, entry.Value!);
                }

                writer.WriteEndObject();
                break;
            case Uri url:
                writer.WriteStringValue(url.OriginalString);
                break;
            case IEnumerable list:
                writer.WriteStartArray();
                foreach (var item in list)
                {
                    Value(writer, key, item);
                }

                writer.WriteEndArray();
                break;
            default:
                if (OptionsShape.IsNested(value.GetType()))
                {
                    Record(writer, value);
                }
                else
                {
                    writer.WriteStringValue(value.ToString());
                }

                break;
        }
    }
}
