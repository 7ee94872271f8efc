using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Loom.Harness.Architecture.Yaml;

/// <summary>YAML values as JSON: the core schema maps onto it, except for numbers JSON cannot write, which stay text.</summary>
internal static class YamlJson
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, MaxDepth = 1000 };

    /// <summary>The value as an immutable element.</summary>
    /// <param name="node">Null gives an empty object.</param>
    /// <param name="masked">Whether secrets are left out.</param>
    public static JsonElement Element(YamlNode? node, bool masked)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, s_options))
        {
            if (node is null)
            {
                writer.WriteStartObject();
                writer.WriteEndObject();
            }
            else
            {
                Write(writer, node, masked);
            }
        }

        using var document = JsonDocument.Parse(buffer.WrittenMemory, new JsonDocumentOptions { MaxDepth = 1000 });
        return document.RootElement.Clone();
    }

    public static void Write(Utf8JsonWriter writer, YamlNode node, bool masked)
    {
        switch (node)
        {
            case YamlMapping map:
                writer.WriteStartObject();
                foreach (var entry in map.Entries)
                {
                    writer.WritePropertyName(entry.Key.Text);
                    Write(writer, entry.Value, masked);
                }

                writer.WriteEndObject();
                break;
            case YamlSequence list:
                writer.WriteStartArray();
                foreach (var item in list.Items)
                {
                    Write(writer, item, masked);
                }

                writer.WriteEndArray();
                break;
            case YamlScalar scalar:
                Scalar(writer, scalar, masked);
                break;
        }
    }

    private static void Scalar(Utf8JsonWriter writer, YamlScalar scalar, bool masked)
    {
        switch (scalar.Type)
        {
            case var _ when masked && scalar.Secret:
                writer.WriteStringValue("[redacted]");
                break;
            case ScalarType.Null:
                writer.WriteNullValue();
                break;
            case ScalarType.Bool:
                writer.WriteBooleanValue(CoreSchema.Bool(scalar.Text));
                break;
            case ScalarType.Int when CoreSchema.Int(scalar.Text) is { } whole:
                writer.WriteNumberValue(whole);
                break;
            case ScalarType.Int or ScalarType.Float when double.IsFinite(CoreSchema.Double(scalar.Text)):
                writer.WriteNumberValue(CoreSchema.Double(scalar.Text));
                break;
            default:
                writer.WriteStringValue(scalar.Text);
                break;
        }
    }
}
