using Microsoft.Win32.SafeHandles;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>
/// Lines of a file from a place on, read in large blocks. A line is a piece of the reader's buffer, valid until the next call; nothing is copied or
/// allocated for it. A line ends with LF or CR LF; both are left out.
/// </summary>
internal sealed class LineReader : IDisposable
{
    private const int BlockBytes = 256 * 1024;

    private readonly SafeFileHandle _file;
    private readonly int _longest;
    private byte[] _buffer;
    private int _start;
    private int _scanned;
    private int _end;
    private bool _skips;
    private long _skipped;

    /// <param name="file">The file; the reader closes it.</param>
    /// <param name="position">Where a line begins.</param>
    /// <param name="longest">Bytes of the longest line that is read; what is longer is skipped and told.</param>
    public LineReader(SafeFileHandle file, long position, int longest)
    {
        _file = file;
        _longest = longest;
        _buffer = new byte[Math.Min(BlockBytes, longest + 2)];
        Position = position;
    }

    /// <summary>Where the next line begins: bytes from the start of the file.</summary>
    public long Position { get; private set; }

    /// <summary>Bytes read beyond <see cref="Position"/> that are no whole line yet.</summary>
    public int Pending => _end - _start;

    /// <summary>The line that was found last, without its end; empty when it was too long.</summary>
    public ReadOnlyMemory<byte> Line { get; private set; }

    /// <summary>Where that line began.</summary>
    public long LineAt { get; private set; }

    /// <summary>Whether that line was longer than allowed and was skipped.</summary>
    public bool TooLong { get; private set; }

    /// <summary>Finds the next whole line in what was read.</summary>
    public bool TryRead()
    {
        var found = _buffer.AsSpan(_scanned, _end - _scanned).IndexOf((byte)'\n');
        if (found < 0)
        {
            _scanned = _end;
            return false;
        }

        Take(_scanned + found, 1);
        return true;
    }

    /// <summary>Takes what stands behind the last line end as a line, at the end of a file that will not grow.</summary>
    /// <returns>False when nothing stands there.</returns>
    public bool TryReadRest()
    {
        if (_end == _start && !_skips)
        {
            return false;
        }

        Take(_end, 0);
        return true;
    }

    /// <summary>Reads on from the disk.</summary>
    /// <returns>False at the present end of the file.</returns>
    public async ValueTask<bool> FillAsync(CancellationToken ct)
    {
        MakeRoom();
        var read = await RandomAccess.ReadAsync(_file, _buffer.AsMemory(_end), Position + (_end - _start), ct).ConfigureAwait(false);
        if (Position == 0 && _start == 0 && _end == 0 && _buffer.AsSpan(0, read).StartsWith((ReadOnlySpan<byte>)[0xEF, 0xBB, 0xBF]))
        {
            // A byte order mark is no part of the first line.
            _start = _scanned = 3;
            Position = 3;
        }

        _end += read;
        return read > 0;
    }

    /// <summary>Bytes of the file that were not read yet.</summary>
    public long Behind => RandomAccess.GetLength(_file) - Position;

    /// <summary>The open file.</summary>
    public SafeFileHandle File => _file;

    public void Dispose() => _file.Dispose();

    private void Take(int end, int terminator)
    {
        var from = _start;
        var length = end - _start;
        LineAt = Position - _skipped;
        if (length > 0 && _buffer[end - 1] == '\r')
        {
            length--;
        }

        TooLong = _skips || length > _longest;
        _skips = false;
        _skipped = 0;
        Line = TooLong ? default : _buffer.AsMemory(from, length);
        Position += end - _start + terminator;
        _start = _scanned = end + terminator;
    }

    private void MakeRoom()
    {
        if (_end - _start > _longest + 1)
        {
            // Forget what there is of it: only its end is of interest.
            _skipped += _end - _start;
            Position += _end - _start;
            _start = _scanned = _end = 0;
            _skips = true;
        }
        else if (_start > 0)
        {
            _buffer.AsSpan(_start, _end - _start).CopyTo(_buffer);
            _end -= _start;
            _scanned -= _start;
            _start = 0;
        }

        if (_end == _buffer.Length)
        {
            Array.Resize(ref _buffer, (int)Math.Min((long)_buffer.Length * 2, _longest + 2L));
        }
    }
}
