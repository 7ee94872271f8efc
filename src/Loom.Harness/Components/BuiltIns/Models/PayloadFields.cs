using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Loom.Harness.Components.BuiltIns.Models;

/// <summary>Adds what a model or a server answered to a payload.</summary>
internal static class PayloadFields
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// The payload with one more field, or another value of it. A payload that is no object stands in a field <c>data</c> of the result. Without a field the value alone is the result.
    /// </summary>
    public static JsonElement Add<TState>(JsonElement payload, string field, TState state, Action<Utf8JsonWriter, TState> value)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var json = new Utf8JsonWriter(buffer, s_options);
        if (field.Length == 0)
        {
            value(json, state);
        }
        else
        {
            json.WriteStartObject();
            if (payload.ValueKind != JsonValueKind.Object)
            {
                json.WritePropertyName("data"u8);
                payload.WriteTo(json);
            }
            else
            {
                foreach (var property in payload.EnumerateObject())
                {
                    if (!property.NameEquals(field))
                    {
                        property.WriteTo(json);
                    }
                }
            }

            json.WritePropertyName(field);
            value(json, state);
            json.WriteEndObject();
        }

        json.Flush();
        return JsonElement.Parse(buffer.WrittenSpan);
    }
}
