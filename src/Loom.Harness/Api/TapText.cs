using System.Buffers;
using System.Text;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components;

namespace Loom.Harness.Api;

/// <summary>An event as those who tap a stream see it: one line of JSON, secrets masked.</summary>
internal static class TapText
{
    public static string Of(in Event<JsonElement> e, SecretFields secrets)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using (var w = new Utf8JsonWriter(buffer))
        {
            w.WriteStartObject();
            w.WriteString("id", e.Id.ToString());
            if (e.Key is { } key)
            {
                w.WriteString("key", key);
            }

            w.WriteString("time", e.Time);
            if (e.Mock)
            {
                w.WriteBoolean("mock", true);
            }

            w.WritePropertyName("data");
            Write(w, e.Data, "", secrets.Paths);
            w.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Write(Utf8JsonWriter w, JsonElement value, string path, IReadOnlySet<string> secrets)
    {
        if (secrets.Count == 0 || value.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array))
        {
            if (secrets.Contains(path))
            {
                w.WriteStringValue(SecretFields.Mask);
            }
            else
            {
                RawJson.Write(w, value);
            }
        }
        else if (secrets.Contains(path))
        {
            w.WriteStringValue(SecretFields.Mask);
        }
        else if (value.ValueKind == JsonValueKind.Array)
        {
            w.WriteStartArray();
            foreach (var item in value.EnumerateArray())
            {
                Write(w, item, path, secrets);
            }

            w.WriteEndArray();
        }
        else
        {
            w.WriteStartObject();
            foreach (var property in value.EnumerateObject())
            {
                w.WritePropertyName(property.Name);
                Write(w, property.Value, $"{path}/{property.Name}", secrets);
            }

            w.WriteEndObject();
        }
    }
}
