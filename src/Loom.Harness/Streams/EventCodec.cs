using System.Buffers;
using System.Diagnostics;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components;

namespace Loom.Harness.Streams;

/// <summary>A whole event as one JSON object, for events that leave memory: spilled ones, and those a checkpoint finds under way.</summary>
internal static class EventCodec<T>
{
    /// <summary>Writes an event.</summary>
    /// <exception cref="ItemException">The payload has no JSON form: <c>conversion_failed</c>.</exception>
    public static byte[] Write(in Event<T> e)
    {
        var bytes = new ArrayBufferWriter<byte>(256);
        using (var w = new Utf8JsonWriter(bytes))
        {
            w.WriteStartObject();
            w.WriteString("id"u8, e.Id.ToString());
            w.WriteNumber("time"u8, e.Time.UtcTicks);
            if (e.Key is { } key)
            {
                w.WriteString("key"u8, key);
            }

            if (e.Mock)
            {
                w.WriteBoolean("mock"u8, true);
            }

            if (e.Attempt != 1)
            {
                w.WriteNumber("attempt"u8, e.Attempt);
            }

            if (e.Trace != default)
            {
                w.WriteString("trace"u8, $"00-{e.Trace.TraceId}-{e.Trace.SpanId}-{(int)e.Trace.TraceFlags:x2}");
            }

            if (e.Headers.Count > 0)
            {
                w.WriteStartObject("headers"u8);
                foreach (var (name, value) in e.Headers)
                {
                    w.WriteString(name, value);
                }

                w.WriteEndObject();
            }

            w.WritePropertyName("data"u8);
            WriteData(w, e.Data);
            w.WriteEndObject();
        }

        return bytes.WrittenSpan.ToArray();
    }

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="Exception">It is something else, or the payload cannot be made of it: whatever its type throws, in its constructor too.</exception>
    public static Event<T> Read(ReadOnlyMemory<byte> json)
    {
        var root = JsonElement.Parse(json.Span, Errors.PayloadJson.Around);
        var data = root.GetProperty("data"u8);
        var payload = typeof(T) == typeof(JsonElement) ? (T)(object)data : JsonConversion.TypeInfo(typeof(T)) is { } info ? (T)data.Deserialize(info)! : data.Deserialize<T>()!;
        var e = new Event<T>(
            EventId.Parse(root.GetProperty("id"u8).GetString()!),
            payload,
            root.TryGetProperty("key"u8, out var key) ? key.GetString() : null,
            new DateTimeOffset(root.GetProperty("time"u8).GetInt64(), TimeSpan.Zero),
            root.TryGetProperty("mock"u8, out _));
        if (root.TryGetProperty("headers"u8, out var headers))
        {
            foreach (var header in headers.EnumerateObject())
            {
                e = e.WithHeader(header.Name, header.Value.GetString()!);
            }
        }

        if (root.TryGetProperty("trace"u8, out var trace) && ActivityContext.TryParse(trace.GetString(), null, out var context))
        {
            e = e.WithTrace(context);
        }

        return root.TryGetProperty("attempt"u8, out var attempt) ? e.WithAttempt(attempt.GetInt32()) : e;
    }

    private static void WriteData(Utf8JsonWriter w, T data)
    {
        try
        {
            if (data is JsonElement element)
            {
                RawJson.Write(w, element);
            }
            else if (JsonConversion.TypeInfo(typeof(T)) is { } info)
            {
                JsonSerializer.Serialize(w, data, info);
            }
            else
            {
                JsonSerializer.Serialize(w, data);
            }
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // Any: NaN is an ArgumentException, and a getter or a converter of the component's own throws what it likes.
            throw new ItemException("conversion_failed", $"the payload {typeof(T).Name} cannot be written as JSON: {e.Message}", inner: e);
        }
    }
}
