using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json;
using Loom.Components;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>Settings of <c>csv</c>.</summary>
internal sealed record CsvOptions : IValidatableObject
{
    [Description("The file, relative to the system's folder, or a pattern: * ? [a-z] {a,b} within a name, ** for any number of folders; links are not followed then. Several files are read in the order of their names.")]
    public required string Path { get; init; }

    [Description("Whether the first record of each file names the columns.")]
    public bool Header { get; init; } = true;

    [Description("Names of the columns where there is no header; column_1, column_2 and so on where they are left out.")]
    public IReadOnlyList<string> Columns { get; init; } = [];

    [Description("Type of columns by name: string, int, float, bool (true false yes no on off 1 0), json, or auto. An empty field that is no string is null.")]
    public IReadOnlyDictionary<string, CsvType> Types { get; init; } = new Dictionary<string, CsvType>();

    [Description("Type of the columns that types does not name; auto takes what looks like a number or a truth value for one, except in quotes and codes like 007.")]
    public CsvType DefaultType { get; init; }

    [Description("The character between fields: one ASCII character, for instance \",\", \";\" or a tab.")]
    public string Delimiter { get; init; } = ",";

    [Range(1, 1 << 30)]
    [Description("Longest record, in bytes; a longer one ends the component, since a quote that is never closed looks like it.")]
    public int MaxRecordBytes { get; init; } = 4 << 20;

    [Description("What happens with a record that cannot be read or has another number of fields than the header: dead_letter makes it an item error, skip counts it, fail ends the component.")]
    public BadLine OnBadLine { get; init; }

    /// <inheritdoc />
    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Delimiter is not [< '\x80' and not '"' and not '\n' and not '\r'])
        {
            yield return new ValidationResult("the delimiter is one ASCII character that is no quote and no line end", [nameof(Delimiter)]);
        }

        if (Header && Columns.Count > 0)
        {
            yield return new ValidationResult("columns are named by the header; set header: false to name them here", [nameof(Columns)]);
        }
    }
}

/// <summary>One event for each record of CSV files.</summary>
[Component("csv", Type = ComponentType.Source, Replayable = true,
    Summary = "Reads CSV files as RFC 4180 has them: one object a record, its fields named by the header. Empty lines are passed over.")]
internal sealed class CsvSource(CsvOptions options, ILogger<CsvSource> log) : Source<JsonElement>
{
    private const int BlockBytes = 256 * 1024;

    private readonly Queue<(string Path, long Bytes)> _waiting = new();
    private readonly CsvRecord _record = new((byte)options.Delimiter[0]);
    private readonly PayloadWriter _payload = new();
    private IReadOnlyDictionary<string, long> _next = new Dictionary<string, long>();
    private BadLines _bad = null!;
    private FileSet _files = null!;
    private IComponentMetrics _metrics = null!;
    private bool _listed;
    private long _waitingBytes;

    // The file that is open.
    private SafeFileHandle? _file;
    private string _name = "";
    private byte[] _buffer = new byte[BlockBytes];
    private int _start;
    private int _end;
    private int _consumed;
    private long _position;
    private bool _final;
    private (JsonEncodedText Name, CsvType Type)[]? _columns;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _bad = new BadLines(options.OnBadLine, ctx, log);
        _files = FileSet.Of(options.Path, ctx);
        _metrics = ctx.Metrics;
        return _files.List().Count > 0 ? default : throw new FileNotFoundException($"there is no file '{options.Path}' to read");
    }

    /// <inheritdoc />
    protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
    {
        _next = next;
        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct)
    {
        _file?.Dispose();
        return default;
    }

    /// <inheritdoc />
    protected internal override async ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        while (!stopping.IsCancellationRequested)
        {
            if (_file is null && !await OpenNextAsync(ct).ConfigureAwait(false))
            {
                break;
            }

            var at = _position;
            switch (await NextAsync(ct).ConfigureAwait(false))
            {
                case CsvOutcome.Record when TryMake(at, out var read):
                    return read;
                case CsvOutcome.Bad when TryRefuse(at, _record.Fault, null, out var refused):
                    return refused;
                case CsvOutcome.Incomplete:
                    _file!.Dispose();
                    _file = null;
                    break;
                default:
                    break;
            }
        }

        return Read<JsonElement>.End;
    }

    // Finds the next record; Incomplete means the end of the file. The record stays in the buffer until Advance.
    private async ValueTask<CsvOutcome> NextAsync(CancellationToken ct)
    {
        while (true)
        {
            var outcome = _record.Parse(_buffer.AsSpan(_start, _end - _start), _final, out _consumed);
            if (outcome == CsvOutcome.Empty)
            {
                Advance();
            }
            else if (outcome != CsvOutcome.Incomplete || _final)
            {
                return outcome;
            }
            else
            {
                await FillAsync(ct).ConfigureAwait(false);
            }
        }
    }

    private void Advance()
    {
        _start += _consumed;
        _position += _consumed;
        _consumed = 0;
    }

    private async ValueTask FillAsync(CancellationToken ct)
    {
        if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            if (_end > options.MaxRecordBytes)
            {
                throw new InvalidDataException(
                    $"{_name}: the record at byte {_position} is longer than max_record_bytes, {options.MaxRecordBytes}; a quote may not be closed there");
            }

            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        var read = await RandomAccess.ReadAsync(_file!, _buffer.AsMemory(_end), _position + (_end - _start), ct).ConfigureAwait(false);
        _end += read;
        _final = read == 0;
        _metrics.Set("behind_bytes", Math.Max(0, RandomAccess.GetLength(_file!) - _position - (_final ? _end - _start : 0)) + _waitingBytes);
    }

    private async ValueTask<bool> OpenNextAsync(CancellationToken ct)
    {
        if (!_listed)
        {
            _listed = true;
            foreach (var path in _files.List())
            {
                var bytes = new FileInfo(path) is { Exists: true } file ? file.Length : 0;
                _waiting.Enqueue((path, bytes));
                _waitingBytes += bytes;
            }
        }

        if (!_waiting.TryDequeue(out var next))
        {
            return false;
        }

        _waitingBytes -= next.Bytes;
        _name = _files.NameOf(next.Path);
        _file = File.OpenHandle(next.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, FileOptions.Asynchronous | FileOptions.SequentialScan);
        MoveTo(0);
        await FillAsync(ct).ConfigureAwait(false);
        if (_buffer.AsSpan(0, _end).StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]))
        {
            _start = 3;
            _position = 3;
        }

        _columns = options.Header ? null : [.. options.Columns.Select(Column)];
        if (options.Header && await NextAsync(ct).ConfigureAwait(false) == CsvOutcome.Record)
        {
            var names = Enumerable.Range(0, _record.Count).Select(i => _record.Text(_buffer.AsSpan(_start, _end - _start), i)).ToArray();
            if (names.GroupBy(n => n, StringComparer.Ordinal).FirstOrDefault(g => g.Count() > 1) is { } twice)
            {
                throw new InvalidDataException($"{_name}: the header names the column \"{twice.Key}\" twice");
            }

            _columns = [.. names.Select(Column)];
            Advance();
        }

        if (_next.GetValueOrDefault(_name) is var from && from > _position)
        {
            MoveTo(from);
        }

        return true;
    }

    private (JsonEncodedText Name, CsvType Type) Column(string name) => (JsonEncodedText.Encode(name), options.Types.GetValueOrDefault(name, options.DefaultType));

    private void MoveTo(long position)
    {
        _position = position;
        _start = _end = 0;
        _final = false;
    }

    private bool TryMake(long at, out Read<JsonElement> read)
    {
        var text = _buffer.AsSpan(_start, _end - _start);
        var columns = _columns is { Length: > 0 } known
            ? known
            : _columns = [.. Enumerable.Range(1, _record.Count).Select(i => Column(string.Create(CultureInfo.InvariantCulture, $"column_{i}")))];
        try
        {
            if (_record.Count != columns.Length)
            {
                throw new JsonException($"it has {_record.Count} fields where {columns.Length} are expected");
            }

            var json = _payload.Begin();
            for (var i = 0; i < columns.Length; i++)
            {
                CsvTypes.Write(json, columns[i].Name, _record.Content(text, i), columns[i].Type, _record.IsQuoted(i));
            }

            var data = _payload.End();
            Advance();
            read = new Read<JsonElement> { Data = data, Partition = _name, Offset = at, Next = _position };
            return true;
        }
        catch (JsonException e)
        {
            return TryRefuse(at, e.Message, e, out read);
        }
    }

    private bool TryRefuse(long at, string fault, JsonException? parsed, out Read<JsonElement> read)
    {
        var shown = BadLines.Shown(_buffer.AsSpan(_start, _consumed));
        Advance();
        var error = _bad.Judge($"{_name}, the record at byte {at}: {fault}", parsed);
        read = new Read<JsonElement> { Data = shown, Partition = _name, Offset = at, Next = _position, Error = error };
        return error is not null;
    }
}
