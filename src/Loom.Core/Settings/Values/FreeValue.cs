using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Loom.Core.Settings;

/// <summary>A value of a free table, which Loom hands on without knowing it: any TOML value, tables included. Immutable.</summary>
public sealed class FreeValue
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    internal FreeValue(RawValue raw) => Raw = raw;

    internal RawValue Raw { get; }

    /// <summary>The value as JSON on one line; dates are texts.</summary>
    public string Json
    {
        get
        {
            var buffer = new ArrayBufferWriter<byte>();
            using (var json = new Utf8JsonWriter(buffer, s_options))
            {
                WriteTo(json);
            }

            return Encoding.UTF8.GetString(buffer.WrittenSpan);
        }
    }

    /// <summary>Writes the value; dates are texts.</summary>
    public void WriteTo(Utf8JsonWriter json) => Write(json, Raw);

    /// <summary>The same with every text in it changed.</summary>
    public FreeValue Map(Func<string, string> text) => new(Map(Raw, text));

    /// <summary>Every text in it, those of tables and lists included.</summary>
    public IEnumerable<string> Texts() => Texts(Raw);

    private static IEnumerable<string> Texts(RawValue value) => value.Kind switch
    {
        RawKind.Text => [value.Text],
        RawKind.Array => value.Items.SelectMany(Texts),
        RawKind.Table => value.Entries.SelectMany(e => Texts(e.Value)),
        _ => [],
    };

    private static RawValue Map(RawValue value, Func<string, string> text) => value.Kind switch
    {
        RawKind.Text => RawValue.Of(text(value.Text)),
        RawKind.Array => RawValue.Of(value.Items.Select(i => Map(i, text)).ToImmutableArray()),
        RawKind.Table => RawValue.Of(value.Entries.Select(e => KeyValuePair.Create(e.Key, Map(e.Value, text))).ToImmutableArray()),
        _ => value,
    };

    private static void Write(Utf8JsonWriter json, RawValue value)
    {
        switch (value.Kind)
        {
            case RawKind.Boolean:
                json.WriteBooleanValue(value.Boolean);
                break;
            case RawKind.Integer:
                json.WriteNumberValue(value.Integer);
                break;
            case RawKind.Float when double.IsFinite(value.Float):
                json.WriteNumberValue(value.Float);
                break;
            case RawKind.Array:
                json.WriteStartArray();
                foreach (var item in value.Items)
                {
                    Write(json, item);
                }

                json.WriteEndArray();
                break;
            case RawKind.Table:
                json.WriteStartObject();
                foreach (var (name, held) in value.Entries)
                {
                    json.WritePropertyName(name);
                    Write(json, held);
                }

                json.WriteEndObject();
                break;
            default:
                // Also inf and nan, which JSON does not know.
                json.WriteStringValue(value.ToString());
                break;
        }
    }
}
