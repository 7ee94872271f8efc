namespace Loom.Core.Storage;

/// <summary>What a journal was found to hold.</summary>
/// <param name="Records">Good records, the header not counted.</param>
/// <param name="Length">Bytes of the good part.</param>
/// <param name="TornBytes">Bytes after it that a cut-off write left behind; they were never acknowledged.</param>
/// <param name="BrokenAt">Position of a record that was changed, moved or removed after it had been written; null = the chain is whole.</param>
/// <param name="BrokenLine">Line of that record, counted from 1.</param>
public readonly record struct JournalReport(int Records, long Length, long TornBytes, long? BrokenAt, int BrokenLine);

/// <summary>Reads a journal from its first byte and judges every record. Pure apart from reading.</summary>
internal sealed class JournalReader(Action<ReadOnlySpan<byte>> replay)
{
    private byte[] _buffer = new byte[64 * 1024];
    private int _filled;
    private int _line;
    private long _position;
    private long _bad = -1;
    private int _badLine;
    private long _good;
    private bool _broken;
    private JournalChain? _beyond;

    /// <summary>The chain up to the last good record.</summary>
    public JournalChain Chain { get; } = new();

    /// <summary>Payload of the header; empty when there is none.</summary>
    public byte[] Header { get; private set; } = [];

    /// <summary>Reads to the end; each good record goes to <c>replay</c> in order.</summary>
    public JournalReport Read(Stream stream)
    {
        while (stream.Read(_buffer, _filled, _buffer.Length - _filled) is > 0 and var read)
        {
            _filled += read;
            TakeLines();
            if (_filled == _buffer.Length)
            {
                Array.Resize(ref _buffer, checked(_buffer.Length * 2));
            }
        }

        if (_filled > 0 && _bad < 0)
        {
            _bad = _position;
        }

        var records = Math.Max(0, (_bad < 0 ? _line : _badLine == 0 ? _line : _badLine - 1) - 1);
        return _broken
            ? new JournalReport(records, _good, 0, _bad, _badLine)
            : new JournalReport(records, _good, _position + _filled - _good, null, 0);
    }

    private void TakeLines()
    {
        var from = 0;
        while (_buffer.AsSpan(from, _filled - from).IndexOf((byte)'\n') is >= 0 and var length)
        {
            Take(_buffer.AsSpan(from, length));
            from += length + 1;
            _position += length + 1;
        }

        _buffer.AsSpan(from, _filled - from).CopyTo(_buffer);
        _filled -= from;
    }

    private void Take(ReadOnlySpan<byte> line)
    {
        _line++;
        if (_bad >= 0)
        {
            Beyond(line);
            return;
        }

        var verdict = Chain.Accept(line, out var payload);
        if (verdict == JournalChain.Verdict.Good)
        {
            _good = _position + line.Length + 1;
            if (_line == 1)
            {
                Header = payload.ToArray();
            }
            else
            {
                replay(payload);
            }

            return;
        }

        _bad = _position;
        _badLine = _line;
        // A whole line that a cut-off write cannot have left.
        _broken = verdict == JournalChain.Verdict.Foreign;
    }

    // A cut-off write leaves no whole records behind the damage; two that follow each other prove that something else happened.
    private void Beyond(ReadOnlySpan<byte> line)
    {
        if (_beyond is null)
        {
            var start = new JournalChain();
            _beyond = start.TryFollow(line) ? start : null;
            return;
        }

        if (_beyond.Accept(line, out _) == JournalChain.Verdict.Good)
        {
            _broken = true;
        }
        else if (!_beyond.TryFollow(line))
        {
            _beyond = null;
        }
    }
}
