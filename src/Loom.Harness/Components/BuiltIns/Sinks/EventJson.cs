using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>What a line of output holds.</summary>
internal enum EventFormat
{
    /// <summary>The payload; a mock event's has <c>"mock": true</c> in it.</summary>
    Data,

    /// <summary>The whole event: id, key, time, mock, headers and data.</summary>
    Event,
}

/// <summary>Writes events as JSON, each on one line. A payload's own bytes are copied where they can be.</summary>
internal static class EventJson
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes an event without a line end.</summary>
    public static void Write(in Event<JsonElement> e, EventFormat format, IBufferWriter<byte> into)
    {
        if (format == EventFormat.Event)
        {
            WriteEvent(e, into);
        }
        else
        {
            WriteData(e, into);
        }
    }

    private static void WriteData(in Event<JsonElement> e, IBufferWriter<byte> into)
    {
        var raw = JsonMarshal.GetRawUtf8Value(e.Data);
        if (!e.Mock)
        {
            if (raw.IndexOfAny((byte)'\n', (byte)'\r') < 0)
            {
                into.Write(raw);
            }
            else
            {
                Rewrite(e.Data, into);
            }

            return;
        }

        if (e.Data.ValueKind != JsonValueKind.Object)
        {
            into.Write("{\"data\":"u8);
            Rewrite(e.Data, into);
            into.Write(",\"mock\":true}"u8);
            return;
        }

        using var json = new Utf8JsonWriter(into, s_options);
        json.WriteStartObject();
        foreach (var field in e.Data.EnumerateObject())
        {
            if (!field.NameEquals("mock"u8))
            {
                field.WriteTo(json);
            }
        }

        json.WriteBoolean("mock"u8, true);
        json.WriteEndObject();
    }

    private static void WriteEvent(in Event<JsonElement> e, IBufferWriter<byte> into)
    {
        using var json = new Utf8JsonWriter(into, s_options);
        json.WriteStartObject();
        json.WriteString("id"u8, e.Id.ToString());
        if (e.Key is { } key)
        {
            json.WriteString("key"u8, key);
        }

        if (e.Time != default)
        {
            json.WriteString("time"u8, e.Time);
        }

        if (e.Mock)
        {
            json.WriteBoolean("mock"u8, true);
        }

        if (e.Headers.Count > 0)
        {
            json.WriteStartObject("headers"u8);
            foreach (var (name, value) in e.Headers)
            {
                json.WriteString(name, value);
            }

            json.WriteEndObject();
        }

        json.WritePropertyName("data"u8);
        RawJson.Write(json, e.Data);
        json.WriteEndObject();
    }

    private static void Rewrite(JsonElement data, IBufferWriter<byte> into)
    {
        using var json = new Utf8JsonWriter(into, s_options);
        RawJson.Write(json, data);
    }
}
