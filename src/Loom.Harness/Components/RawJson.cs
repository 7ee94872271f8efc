using System.Runtime.InteropServices;
using System.Text.Json;

namespace Loom.Harness.Components;

/// <summary>
/// Writes payloads that came from outside so that any JSON can be written. An escape such as <c>\ud83d</c> without its second half is JSON, but no text, and
/// <see cref="JsonElement.WriteTo"/> throws over it: such a payload is copied as it came.
/// </summary>
internal static class RawJson
{
    /// <summary>Writes a value on one line; none is written as null.</summary>
    public static void Write(Utf8JsonWriter json, JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Undefined)
        {
            json.WriteNullValue();
            return;
        }

        var raw = JsonMarshal.GetRawUtf8Value(value);
        if (!HasSurrogates(raw))
        {
            value.WriteTo(json);
        }
        else if (raw.IndexOfAny((byte)'\n', (byte)'\r') < 0)
        {
            json.WriteRawValue(raw, skipInputValidation: true);
        }
        else
        {
            // Between two tokens, since text holds them only escaped.
            var line = raw.ToArray();
            line.AsSpan().Replace((byte)'\n', (byte)' ');
            line.AsSpan().Replace((byte)'\r', (byte)' ');
            json.WriteRawValue(line, skipInputValidation: true);
        }
    }

    private static bool HasSurrogates(ReadOnlySpan<byte> raw) => raw.IndexOf("\\ud"u8) >= 0 || raw.IndexOf("\\uD"u8) >= 0;
}
