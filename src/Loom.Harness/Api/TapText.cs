using System.Buffers;
using System.Text;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Secrets;

namespace Loom.Harness.Api;

/// <summary>An event as those who tap a stream see it: one line of JSON, secrets masked.</summary>
internal static class TapText
{
    /// <param name="e">The event.</param>
    /// <param name="secrets">What of the stream is secret.</param>
    /// <param name="isError">It is an error on its way from an error port: its key is shown as the record in it has it.</param>
    public static string Of(in Event<JsonElement> e, SecretFields secrets, bool isError = false)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var w = new Utf8JsonWriter(buffer))
        {
            var places = secrets.In(e.Data);
            w.WriteStartObject();
            w.WriteString("id", e.Id.ToString());
            if (e.Key is { } key)
            {
                w.WriteString("key", secrets.Key(isError ? KeyIn(e.Data) ?? SecretFields.Mask : key, e.Data, places));
            }

            w.WriteString("time", e.Time);
            if (e.Mock)
            {
                w.WriteBoolean("mock", true);
            }

            w.WritePropertyName("data");
            SecretFields.Write(w, e.Data, places);
            w.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    // The event that failed is not there any more to tell by it what is secret.
    private static string? KeyIn(JsonElement record) =>
        record.ValueKind == JsonValueKind.Object && record.TryGetProperty("event"u8, out var e) && e.ValueKind == JsonValueKind.Object && e.TryGetProperty("key"u8, out var key)
            && key.ValueKind == JsonValueKind.String ? key.GetString() : null;
}
