using System.Globalization;
using System.Text.Json;

namespace Loom.Core.Toml;

/// <summary>The form in which the public toml-test corpus states what a document means: every value an object of type and text.</summary>
public static class TomlTaggedJson
{
    /// <summary>Reads a document, writes its tagged JSON.</summary>
    /// <returns>0; 1 when the document is refused, with place and reason on <paramref name="error"/>.</returns>
    public static int Decode(Stream input, Stream output, TextWriter error)
    {
        using var bytes = new MemoryStream();
        input.CopyTo(bytes);
        try
        {
            Write(TomlParser.Parse(bytes.GetBuffer().AsSpan(0, (int)bytes.Length)), output);
            return 0;
        }
        catch (TomlException e)
        {
            error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{e.Position.Line}:{e.Position.Column}: {e.Message}"));
            return 1;
        }
    }

    /// <summary>Writes the tagged JSON of a document.</summary>
    public static void Write(TomlDocument document, Stream output)
    {
        using var json = new Utf8JsonWriter(output);
        Write(json, document.Root);
    }

    private static void Write(Utf8JsonWriter json, TomlValue value)
    {
        switch (value)
        {
            case TomlTable table:
                json.WriteStartObject();
                foreach (var entry in table.Entries)
                {
                    json.WritePropertyName(entry.Key);
                    Write(json, entry.Value);
                }

                json.WriteEndObject();
                break;
            case TomlArray array:
                json.WriteStartArray();
                foreach (var item in array.Items)
                {
                    Write(json, item);
                }

                json.WriteEndArray();
                break;
            default:
                var (type, text) = Tag(value);
                json.WriteStartObject();
                json.WriteString("type", type);
                json.WriteString("value", text);
                json.WriteEndObject();
                break;
        }
    }

    private static (string Type, string Text) Tag(TomlValue value) => value switch
    {
        TomlString s => ("string", s.Value),
        TomlInteger i => ("integer", i.Value.ToString(CultureInfo.InvariantCulture)),
        TomlBoolean b => ("bool", b.Value ? "true" : "false"),
        TomlFloat f => ("float", double.IsNaN(f.Value) ? "nan" : double.IsInfinity(f.Value) ? (f.Value > 0 ? "inf" : "-inf") : f.Value.ToString("R", CultureInfo.InvariantCulture)),
        TomlDateTime { Kind: TomlDateTimeKind.Offset } d => ("datetime", d.Text),
        TomlDateTime { Kind: TomlDateTimeKind.Local } d => ("datetime-local", d.Text),
        TomlDateTime { Kind: TomlDateTimeKind.Date } d => ("date-local", d.Text),
        TomlDateTime d => ("time-local", d.Text),
        _ => throw new InvalidOperationException($"no tag for {value.GetType()}"),
    };
}
