using System.Buffers;
using System.Text;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Secrets;

namespace Loom.Harness.Api;

/// <summary>An event as those who tap a stream see it: one line of JSON, secrets masked.</summary>
internal static class TapText
{
    public static string Of(in Event<JsonElement> e, SecretFields secrets)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var w = new Utf8JsonWriter(buffer))
        {
            var places = secrets.In(e.Data);
            w.WriteStartObject();
            w.WriteString("id", e.Id.ToString());
            if (e.Key is { } key)
            {
                w.WriteString("key", SecretFields.TextsAt(e.Data, places).Any(t => key.Contains(t, StringComparison.Ordinal)) ? SecretFields.Mask : key);
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
}
