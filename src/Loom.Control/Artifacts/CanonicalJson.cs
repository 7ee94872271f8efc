using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Encodings.Web;
using System.Text.Json;
using Loom.Core.Web;

namespace Loom.Control.Artifacts;

/// <summary>
/// One spelling for equal JSON: no spaces, fields in ordinal order, shortest strings, numbers without superfluous digits. Two texts mean the same when their
/// digests are equal.
/// </summary>
internal static class CanonicalJson
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>SHA-256 of the canonical form, 64 hex digits.</summary>
    /// <exception cref="ProblemException">400: a text in it is none.</exception>
    public static string DigestOf(JsonElement json) => Convert.ToHexStringLower(SHA256.HashData(Write(json).WrittenSpan));

    /// <summary>The canonical form.</summary>
    /// <param name="json">What to write.</param>
    /// <param name="param">Where it stands in the request; without it a mistake is told by the field of <paramref name="json"/>.</param>
    /// <exception cref="ProblemException">400: a text in it is none.</exception>
    public static ArrayBufferWriter<byte> Write(JsonElement json, string? param = null)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        if (TryWrite(json, buffer))
        {
            return buffer;
        }

        // JSON can spell half of a surrogate pair with \u; no text holds one.
        var where = param ?? (json.ValueKind == JsonValueKind.Object ? NameOfBroken(json) : "");
        throw new ProblemException(Problem.Invalid(where, "a text holds half of a surrogate pair (\\ud800 to \\udfff alone), which is no character"));
    }

    private static bool TryWrite(JsonElement json, ArrayBufferWriter<byte> buffer)
    {
        using var writer = new Utf8JsonWriter(buffer, s_options);
        try
        {
            Write(writer, json);
            writer.Flush();
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    private static string NameOfBroken(JsonElement json)
    {
        foreach (var field in json.EnumerateObject())
        {
            if (!TryWrite(field.Value, new ArrayBufferWriter<byte>(1024)))
            {
                return field.Name;
            }
        }

        return "";
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
