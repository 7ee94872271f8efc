using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Unicode;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>State of sources in a checkpoint.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(Fingerprint[]))]
[JsonSerializable(typeof(string))]
internal sealed partial class SourceJson : JsonSerializerContext;

/// <summary>Writes payloads of a source, one after the other into one buffer; the payload is its own copy.</summary>
#pragma warning disable CA1001 // It writes to memory; there is nothing to give back.
internal sealed class PayloadWriter
#pragma warning restore CA1001
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    private readonly ArrayBufferWriter<byte> _buffer = new(4096);
    private readonly Utf8JsonWriter _json;

    public PayloadWriter() => _json = new Utf8JsonWriter(_buffer, s_options);

    /// <summary>Begins an object.</summary>
    public Utf8JsonWriter Begin()
    {
        _buffer.ResetWrittenCount();
        _json.Reset(_buffer);
        _json.WriteStartObject();
        return _json;
    }

    /// <summary>Ends the object.</summary>
    public JsonElement End()
    {
        _json.WriteEndObject();
        _json.Flush();
        return JsonElement.Parse(_buffer.WrittenSpan);
    }

    /// <summary>Writes text that should be UTF-8; bytes that are none become the replacement character.</summary>
    public static void WriteText(Utf8JsonWriter json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> text)
    {
        if (Utf8.IsValid(text))
        {
            json.WriteString(name, text);
        }
        else
        {
            json.WriteString(name, Encoding.UTF8.GetString(text));
        }
    }
}
