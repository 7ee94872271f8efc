using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Loom.Control.Artifacts;

/// <summary>
/// One spelling for equal JSON: no spaces, fields in ordinal order, shortest strings, numbers without superfluous digits. Two texts mean the same when their
/// digests are equal.
/// </summary>
internal static class CanonicalJson
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>SHA-256 of the canonical form, 64 hex digits.</summary>
    public static string DigestOf(JsonElement json) => Convert.ToHexStringLower(SHA256.HashData(Write(json).WrittenSpan));

    /// <summary>The canonical form.</summary>
    public static ArrayBufferWriter<byte> Write(JsonElement json)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var writer = new Utf8JsonWriter(buffer, s_options);
        Write(writer, json);
        writer.Flush();
        return buffer;
    }

    private static void Write(Utf8JsonWriter to, JsonElement json)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.Object:
                to.WriteStartObject();
                foreach (var field in json.EnumerateObject().OrderBy(f => f.Name, StringComparer.Ordinal))
                {
                    to.WritePropertyName(field.Name);
                    Write(to, field.Value);
                }

                to.WriteEndObject();
                break;
            case JsonValueKind.Array:
                to.WriteStartArray();
                foreach (var item in json.EnumerateArray())
                {
                    Write(to, item);
                }

                to.WriteEndArray();
                break;
            case JsonValueKind.Number:
                to.WriteRawValue(NumberOf(json));
                break;
            case JsonValueKind.String:
                to.WriteStringValue(json.GetString());
                break;
            default:
                json.WriteTo(to);
                break;
        }
    }

    private static string NumberOf(JsonElement json)
    {
        var raw = json.GetRawText();
        if (raw.AsSpan().IndexOfAny('.', 'e', 'E') < 0)
        {
            // Whole numbers of any size keep all their digits.
            return raw == "-0" ? "0" : raw;
        }

        var number = json.GetDouble();
        return double.IsFinite(number) ? (number == 0 ? "0" : number.ToString("R", CultureInfo.InvariantCulture)) : raw;
    }
}
