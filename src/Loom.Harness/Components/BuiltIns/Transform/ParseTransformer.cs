using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sources;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>Reads structure out of text.</summary>
[Component("parse", Type = ComponentType.Transformer,
    Summary = "Reads a text of the payload as JSON, CSV or by a pattern. A text that cannot be read is an item error with the code parse_error.")]
internal sealed class ParseTransformer(ParseOptions options) : Transformer<JsonElement, JsonElement>
{
    private readonly Regex? _pattern = options.Format == ParseFormat.Text ? options.Compile() : null;
    private readonly byte _delimiter = options.Delimiter == "\\t" ? (byte)'\t' : (byte)options.Delimiter[0];
    private readonly Dictionary<string, CsvType> _types = new(options.Types, StringComparer.Ordinal);

    protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var text = Payloads.Text(options.From, e);
        return options.Format switch
        {
            ParseFormat.Json => output.SendAsync(Result(e, Json(text)), ct),
            ParseFormat.Text => output.SendAsync(Result(e, Match(text)), ct),
            _ => CsvAsync(text, e, output, ct),
        };
    }

    private Event<JsonElement> Result(in Event<JsonElement> e, JsonElement result) =>
        e.Derive(options.Into.Length == 0 ? result : Payloads.With(e.Data, options.Into, result));

    private static JsonElement Json(string text)
    {
        try
        {
            return JsonElement.Parse(text);
        }
        catch (JsonException wrong)
        {
            throw Fault($"the text is not JSON: {wrong.Message}", wrong);
        }
    }

    private JsonElement Match(string text)
    {
        var match = _pattern!.Match(text);
        if (!match.Success)
        {
            throw Fault($"the pattern {options.Pattern} is not found in the text");
        }

        var payload = Payloads.Writer;
        var json = payload.Begin();
        foreach (var name in ParseOptions.Names(_pattern))
        {
            var group = match.Groups[name];
            if (group.Success)
            {
                Field(json, name, Encoding.UTF8.GetBytes(group.Value), quoted: false);
            }
            else
            {
                json.WriteNull(name);
            }
        }

        return payload.End();
    }

    private async ValueTask CsvAsync(string text, Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        var record = new CsvRecord(_delimiter);
        var columns = options.Columns.Count > 0 ? options.Columns : null;
        var number = 0;
        for (var at = 0; at < bytes.Length;)
        {
            var outcome = record.Parse(bytes.AsSpan(at), final: true, out var consumed);
            number++;
            if (outcome == CsvOutcome.Bad)
            {
                throw Fault($"record {number}: {record.Fault}");
            }

            if (outcome == CsvOutcome.Record)
            {
                var fields = bytes.AsMemory(at, consumed);
                if (columns is null)
                {
                    columns = [.. Enumerable.Range(0, record.Count).Select(i => record.Text(fields.Span, i))];
                }
                else
                {
                    await output.SendAsync(Result(e, Record(record, fields.Span, columns, number)), ct).ConfigureAwait(false);
                }
            }

            at += consumed;
        }
    }

    private JsonElement Record(CsvRecord record, ReadOnlySpan<byte> text, IReadOnlyList<string> columns, int number)
    {
        if (record.Count != columns.Count)
        {
            throw Fault($"record {number} has {record.Count} fields and there are {columns.Count} columns ({string.Join(", ", columns)})");
        }

        var payload = Payloads.Writer;
        var json = payload.Begin();
        for (var i = 0; i < columns.Count; i++)
        {
            Field(json, columns[i], record.Content(text, i), record.IsQuoted(i));
        }

        return payload.End();
    }

    private void Field(Utf8JsonWriter json, string name, ReadOnlySpan<byte> text, bool quoted)
    {
        try
        {
            CsvTypes.Write(json, JsonEncodedText.Encode(name), text, _types.GetValueOrDefault(name), quoted);
        }
        catch (JsonException wrong)
        {
            throw Fault(wrong.Message, wrong);
        }
    }

    private static ItemException Fault(string message, Exception? inner = null) => new("parse_error", message, ErrorClass.Permanent, inner);
}
