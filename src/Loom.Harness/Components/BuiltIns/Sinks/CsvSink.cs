using System.Buffers;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sources;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>Settings of <c>csv_out</c>.</summary>
internal sealed record CsvOutOptions : AppendOptions, IValidatableObject
{
    [Description("Fields of the payload that become columns, in order; a column \"mock\" follows them. Left out: the fields of the first event.")]
    public IReadOnlyList<string> Columns { get; init; } = [];

    [Description("Whether an empty file begins with the names of the columns.")]
    public bool Header { get; init; } = true;

    [Description("The character between fields: one ASCII character.")]
    public string Delimiter { get; init; } = ",";

    /// <inheritdoc />
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Delimiter is not [< '\x80' and not '"' and not '\n' and not '\r'])
        {
            yield return new ValidationResult("the delimiter is one ASCII character that is no quote and no line end", [nameof(Delimiter)]);
        }

        if (!Header && Columns.Count == 0)
        {
            yield return new ValidationResult("without a header the columns must be named here, or a later run could not know them", [nameof(Columns)]);
        }
    }
}

/// <summary>One CSV record for each event.</summary>
[Component("csv_out", Type = ComponentType.Sink, Idempotent = true, StateVersion = 1,
    Summary = "Appends each event, an object, to a CSV file (RFC 4180, lines end with LF); objects and lists become JSON text, null and missing fields nothing. With checkpoints a record appears once, when a checkpoint commits it.")]
internal sealed class CsvSink(CsvOutOptions options, ILogger<CsvSink> log) : AppendSink(options, log)
{
    private readonly byte _delimiter = (byte)options.Delimiter[0];
    private readonly SearchValues<byte> _special = SearchValues.Create([(byte)options.Delimiter[0], (byte)'"', (byte)'\n', (byte)'\r']);
    private byte[][]? _columns = options.Columns.Count == 0 ? null : [.. options.Columns.Where(c => c != "mock").Select(Encoding.UTF8.GetBytes)];
    private bool _headed;

    /// <inheritdoc />
    protected override void Encode(in Event<JsonElement> e, IBufferWriter<byte> into)
    {
        if (e.Data.ValueKind != JsonValueKind.Object)
        {
            throw new ItemException("no_object", $"a CSV record is made of an object's fields, and the payload is {e.Data.ValueKind.ToString().ToLowerInvariant()}; put a map before this sink");
        }

        var empty = !_headed && File.IsEmpty;
        var columns = _columns ??= empty ? [.. e.Data.EnumerateObject().Select(f => f.Name).Where(n => n != "mock").Select(Encoding.UTF8.GetBytes)] : ColumnsOfFile();
        if (empty && options.Header)
        {
            WriteHeader(columns, into);
        }

        foreach (var column in columns)
        {
            if (e.Data.TryGetProperty(column, out var value))
            {
                WriteValue(value, into);
            }

            into.Write([_delimiter]);
        }

        var mock = e.Mock || (e.Data.TryGetProperty("mock"u8, out var mark) && mark.ValueKind == JsonValueKind.True);
        into.Write(mock ? "true\n"u8 : "false\n"u8);
        _headed = true;
    }

    // What an earlier run wrote goes on with its own columns.
    private byte[][] ColumnsOfFile()
    {
        var start = File.Start();
        var header = new CsvRecord(_delimiter);
        return header.Parse(start, final: true, out _) == CsvOutcome.Record
            ? [.. Enumerable.Range(0, header.Count).Select(i => header.Text(start, i)).Where(n => n != "mock").Select(Encoding.UTF8.GetBytes)]
            : throw new ItemException("bad_header", $"the first line of '{options.Path}' names no columns; set columns, or existing: replace", ErrorClass.Configuration);
    }

    private void WriteHeader(byte[][] columns, IBufferWriter<byte> into)
    {
        foreach (var column in columns)
        {
            WriteText(column, into);
            into.Write([_delimiter]);
        }

        into.Write("mock\n"u8);
    }

    private void WriteValue(JsonElement value, IBufferWriter<byte> into)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Null or JsonValueKind.Undefined:
                break;
            case JsonValueKind.String:
                WriteText(Encoding.UTF8.GetBytes(value.GetString()!), into);
                break;
            default:
                WriteText(JsonMarshal.GetRawUtf8Value(value), into);
                break;
        }
    }

    // An empty text is written in quotes, which tells it from null.
    private void WriteText(ReadOnlySpan<byte> text, IBufferWriter<byte> into)
    {
        if (text.Length > 0 && text.IndexOfAny(_special) < 0 && text[0] != ' ' && text[^1] != ' ')
        {
            into.Write(text);
            return;
        }

        into.Write("\""u8);
        while (text.IndexOf((byte)'"') is var quote and >= 0)
        {
            into.Write(text[..(quote + 1)]);
            into.Write("\""u8);
            text = text[(quote + 1)..];
        }

        into.Write(text);
        into.Write("\""u8);
    }
}
