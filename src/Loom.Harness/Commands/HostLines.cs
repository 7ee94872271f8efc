using System.Buffers;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Commands;

/// <summary>Writes what the host says: one JSON object a line. Pure.</summary>
internal static class HostLines
{
    /// <summary>Version of the conversation.</summary>
    public const int Version = 1;

    public static void Hello(IBufferWriter<byte> to, string component, JsonElement config, IReadOnlyList<string> inputs, IReadOnlyList<string> outputs) => Line(to, "hello", json =>
    {
        json.WriteNumber("v", Version);
        json.WriteString("component", component);
        json.WritePropertyName("config");
        Data(json, config);
        json.WriteStartObject("ports");
        Names(json, "inputs", inputs);
        Names(json, "outputs", outputs);
        json.WriteEndObject();
    });

    public static void Restore(IBufferWriter<byte> to, JsonElement state) => Line(to, "restore", json =>
    {
        json.WritePropertyName("state");
        Data(json, state);
    });

    /// <summary>An item, or a batch of items.</summary>
    public static void Item(IBufferWriter<byte> to, CommandItem item)
    {
        using var json = new Utf8JsonWriter(to, new JsonWriterOptions { SkipValidation = true });
        json.WriteStartObject();
        json.WriteString("type"u8, item.Batch is null ? "item"u8 : "batch"u8);
        json.WriteNumber("n"u8, item.Number);
        if (item.Batch is { } batch)
        {
            json.WriteString("batch_id"u8, batch.Id);
            json.WriteNumber("size"u8, batch.Count);
            json.WriteStartObject("timestamps"u8);
            json.WriteString("first_item"u8, batch.FirstItem);
            json.WriteString("last_item"u8, batch.LastItem);
            json.WriteString("formed"u8, batch.Formed);
            json.WriteString("dispatched"u8, batch.Dispatched);
            json.WriteEndObject();
            json.WriteString("reason"u8, batch.Reason.ToString().ToLowerInvariant());
            json.WriteNumber("attempt"u8, item.Attempt);
            json.WriteStartArray("items"u8);
            foreach (var e in batch)
            {
                json.WriteStartObject();
                Event(json, item.Port, e);
                json.WriteEndObject();
            }

            json.WriteEndArray();
        }
        else
        {
            json.WriteNumber("attempt"u8, item.Attempt);
            Event(json, item.Port, item.Event);
        }

        json.WriteEndObject();
        json.Flush();
        to.Write("\n"u8);
    }

    public static void Snapshot(IBufferWriter<byte> to, long id) => Line(to, "snapshot", json => json.WriteNumber("id", id));

    public static void Cancel(IBufferWriter<byte> to, long n) => Line(to, "cancel", json => json.WriteNumber("n", n));

    public static void Word(IBufferWriter<byte> to, string type) => Line(to, type, static _ => { });

    public static void Reply(IBufferWriter<byte> to, JsonElement question, JsonElement? data, ItemException? error) => Line(to, "reply", json =>
    {
        json.WritePropertyName("q");
        question.WriteTo(json);
        if (data is { } answer)
        {
            json.WritePropertyName("data");
            Data(json, answer);
        }

        if (error is not null)
        {
            json.WriteStartObject("error");
            json.WriteString("code", error.Code);
            json.WriteString("message", error.Message);
            json.WriteBoolean("retryable", error.Class == ErrorClass.Transient);
            json.WriteEndObject();
        }
    });

    private static void Event(Utf8JsonWriter json, string port, in Event<JsonElement> e)
    {
        json.WriteString("port"u8, port);
        json.WriteString("id"u8, e.Id.ToString());
        json.WriteString("key"u8, e.Key);
        json.WriteString("time"u8, e.Time.UtcDateTime.ToString("O", CultureInfo.InvariantCulture));
        json.WriteStartObject("headers"u8);
        foreach (var (name, value) in e.Headers)
        {
            json.WriteString(name, value);
        }

        if (e.IsTraced)
        {
            json.WriteString("traceparent"u8, Telemetry.Tracing.Parent(e.Trace));
        }

        json.WriteEndObject();
        json.WritePropertyName("data"u8);
        Data(json, e.Data);
    }

    private static void Data(Utf8JsonWriter json, JsonElement data)
    {
        if (data.ValueKind == JsonValueKind.Undefined)
        {
            json.WriteNullValue();
            return;
        }

        var raw = JsonMarshal.GetRawUtf8Value(data);
        if (raw.Contains((byte)'\n'))
        {
            data.WriteTo(json); // a line is a message
        }
        else
        {
            json.WriteRawValue(raw, skipInputValidation: true);
        }
    }

    private static void Names(Utf8JsonWriter json, string name, IReadOnlyList<string> names)
    {
        json.WriteStartArray(name);
        foreach (var one in names)
        {
            json.WriteStringValue(one);
        }

        json.WriteEndArray();
    }

    private static void Line(IBufferWriter<byte> to, string type, Action<Utf8JsonWriter> fields)
    {
        using var json = new Utf8JsonWriter(to, new JsonWriterOptions { SkipValidation = true });
        json.WriteStartObject();
        json.WriteString("type", type);
        fields(json);
        json.WriteEndObject();
        json.Flush();
        to.Write("\n"u8);
    }
}
