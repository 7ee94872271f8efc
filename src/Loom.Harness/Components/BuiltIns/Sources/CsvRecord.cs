using System.Text;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>What was found at a place in CSV text.</summary>
internal enum CsvOutcome
{
    /// <summary>A record.</summary>
    Record,

    /// <summary>An empty line.</summary>
    Empty,

    /// <summary>Text that is no record; it reaches to the end of its line.</summary>
    Bad,

    /// <summary>More text is needed to tell.</summary>
    Incomplete,
}

/// <summary>
/// One record of CSV text as in RFC 4180: fields parted by a delimiter, which may stand in quotes and then hold delimiters, line ends and quotes written twice. A quote inside a field
/// that does not begin with one is an ordinary character. Used again and again; its fields point into the text that was parsed.
/// </summary>
internal sealed class CsvRecord(byte delimiter = (byte)',', byte quote = (byte)'"')
{
    private readonly List<(int Start, int Length, bool Quoted, bool Escaped)> _fields = [];
    private byte[] _scratch = new byte[256];

    /// <summary>Fields of the record.</summary>
    public int Count => _fields.Count;

    /// <summary>What is wrong with a bad record.</summary>
    public string Fault { get; private set; } = "";

    /// <summary>Whether a field stood in quotes.</summary>
    public bool IsQuoted(int field) => _fields[field].Quoted;

    /// <summary>A field's content, valid until the next call.</summary>
    /// <param name="text">The text that was parsed.</param>
    /// <param name="field">Which, from 0.</param>
    public ReadOnlySpan<byte> Content(ReadOnlySpan<byte> text, int field)
    {
        var (start, length, _, escaped) = _fields[field];
        var raw = text.Slice(start, length);
        if (!escaped)
        {
            return raw;
        }

        if (_scratch.Length < length)
        {
            _scratch = new byte[Math.Max(length, _scratch.Length * 2)];
        }

        var written = 0;
        for (var i = 0; i < raw.Length; i++)
        {
            _scratch[written++] = raw[i];
            i += raw[i] == quote ? 1 : 0;
        }

        return _scratch.AsSpan(0, written);
    }

    /// <summary>A field's content as text.</summary>
    public string Text(ReadOnlySpan<byte> text, int field) => Encoding.UTF8.GetString(Content(text, field));

    /// <summary>Reads the record at the start of a text.</summary>
    /// <param name="text">The text.</param>
    /// <param name="final">Whether no more text follows.</param>
    /// <param name="consumed">Bytes of the record with its line end.</param>
    public CsvOutcome Parse(ReadOnlySpan<byte> text, bool final, out int consumed)
    {
        _fields.Clear();
        consumed = 0;
        if (text.IsEmpty)
        {
            return CsvOutcome.Incomplete;
        }

        var at = 0;
        while (true)
        {
            var outcome = at < text.Length && text[at] == quote ? Quoted(text, final, ref at) : Plain(text, final, ref at);
            if (outcome is { } ended)
            {
                consumed = at;
                return ended == CsvOutcome.Record && _fields is [{ Length: 0, Quoted: false }] ? CsvOutcome.Empty : ended;
            }
        }
    }

    // Null when a delimiter follows and the next field begins behind it.
    private CsvOutcome? Plain(ReadOnlySpan<byte> text, bool final, ref int at)
    {
        var length = text[at..].IndexOfAny(delimiter, (byte)'\n');
        if (length < 0)
        {
            if (!final)
            {
                return CsvOutcome.Incomplete;
            }

            _fields.Add((at, text.Length - at - (text.Length > at && text[^1] == '\r' ? 1 : 0), false, false));
            at = text.Length;
            return CsvOutcome.Record;
        }

        var end = at + length;
        var ends = text[end] == '\n';
        _fields.Add((at, length - (ends && length > 0 && text[end - 1] == '\r' ? 1 : 0), false, false));
        at = end + 1;
        return ends ? CsvOutcome.Record : null;
    }

    private CsvOutcome? Quoted(ReadOnlySpan<byte> text, bool final, ref int at)
    {
        var start = at + 1;
        var escaped = false;
        var end = start;
        while (true)
        {
            var found = text[end..].IndexOf(quote);
            if (found < 0)
            {
                return final ? Bad(text, "a quote is opened and not closed", text.Length, out at) : CsvOutcome.Incomplete;
            }

            end += found;
            if (end + 1 < text.Length && text[end + 1] == quote)
            {
                escaped = true;
                end += 2;
                continue;
            }

            break;
        }

        _fields.Add((start, end - start, true, escaped));
        var next = end + 1;
        if (next == text.Length)
        {
            at = next;
            return final ? CsvOutcome.Record : CsvOutcome.Incomplete;
        }

        if (text[next] == delimiter)
        {
            at = next + 1;
            return null;
        }

        if (text[next] == '\r')
        {
            next++;
            if (next == text.Length)
            {
                at = next;
                return final ? CsvOutcome.Record : CsvOutcome.Incomplete;
            }
        }

        if (text[next] == '\n')
        {
            at = next + 1;
            return CsvOutcome.Record;
        }

        var line = text[next..].IndexOf((byte)'\n');
        return line < 0 && !final
            ? CsvOutcome.Incomplete
            : Bad(text, "text follows the closing quote of a field", line < 0 ? text.Length : next + line + 1, out at);
    }

    private CsvOutcome Bad(ReadOnlySpan<byte> text, string fault, int end, out int at)
    {
        Fault = $"field {_fields.Count + (fault[0] == 'a' ? 1 : 0)}: {fault}";
        at = Math.Min(end, text.Length);
        return CsvOutcome.Bad;
    }
}
