using System.Runtime.InteropServices;
using System.Text;
using Loom.Processes.Native;
using Microsoft.Win32.SafeHandles;

namespace Loom.Processes.Logs;

/// <summary>
/// A log that is appended to, rotated by rename, and never stops its writer: what cannot be written is counted and said in the file once writing works again.
/// Whole lines only, on disk as well: a line cut by a full disk is taken back. Not for several threads at once.
/// </summary>
internal sealed unsafe class LogFile : IDisposable
{
    /// <summary>Pause between attempts to write to a file that refused.</summary>
    internal static readonly TimeSpan Retry = TimeSpan.FromSeconds(1);

    private const int FlushAt = 64 * 1024;

    private readonly string _path;
    private readonly LogOptions _options;
    private readonly LineForm _form;
    private readonly TimeProvider _time;
    private byte[] _buffer = [];
    private int _used;
    private int _lines;
    private SafeFileHandle? _file;
    private long _size;
    private long? _refusedAt;

    internal LogFile(string path, string name, LogOptions options, TimeProvider time)
    {
        _form = new LineForm(name, options);
        _path = path;
        _options = options;
        _time = time;
    }

    /// <summary>Lines lost since the file was last writable.</summary>
    internal long Lost { get; private set; }

    /// <summary>Why the file refused, or null.</summary>
    internal string? Trouble { get; private set; }

    /// <summary>Takes one line; it is on disk after <see cref="Flush"/>.</summary>
    internal void Append(ReadOnlySpan<byte> line, LineSource source, DateTimeOffset at)
    {
        var body = _form.Body(line, source, at);
        var needed = body.Length + LineForm.StampLength + 1;
        if (_used + needed > FlushAt && _used > 0)
        {
            Flush();
        }

        if (_buffer.Length < _used + needed)
        {
            Array.Resize(ref _buffer, Math.Max(_used + needed, Math.Min(FlushAt, _buffer.Length * 2)));
        }

        _used += _form.Stamp(at, _buffer.AsSpan(_used));
        body.CopyTo(_buffer.AsSpan(_used));
        _used += body.Length;
        _buffer[_used++] = (byte)'\n';
        _lines++;
    }

    /// <summary>Writes what was taken. Never throws: a file that refuses costs lines, not the child.</summary>
    internal void Flush()
    {
        if (_used == 0)
        {
            return;
        }

        if (Ready() && _size + _used > _options.MaxBytes && _size > 0)
        {
            Rotate();
        }

        if (_file is null && !Ready())
        {
            Lost += _lines;
        }
        else
        {
            WriteAll();
        }

        _used = 0;
        _lines = 0;
        if (_buffer.Length > 4096)
        {
            _buffer = [];
        }
    }

    /// <summary>Closes the file; the next line opens what then has its name.</summary>
    internal void Reopen()
    {
        Flush();
        _file?.Dispose();
        _file = null;
    }

    public void Dispose()
    {
        Flush();
        _file?.Dispose();
        _file = null;
    }

    private bool Ready()
    {
        if (_file is not null)
        {
            return true;
        }

        if (_refusedAt is { } at && _time.GetElapsedTime(at) < Retry)
        {
            return false;
        }

        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(_path)!);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            Refused(e.Message);
            return false;
        }

        var file = Libc.OpenFile(_path, Linux.WriteOnly | Linux.Create | Linux.Append | Linux.Cloexec, 0x180 /* 0600 */);
        if (file.IsInvalid)
        {
            Refused(Marshal.GetLastPInvokeErrorMessage());
            return false;
        }

        _file = file;
        _size = Length(file);
        if (Lost > 0 && !Confess())
        {
            return false;
        }

        Trouble = null;
        return true;
    }

    /// <summary>Says in the file what is missing; if even that fails, the loss stays counted.</summary>
    private bool Confess()
    {
        var now = _time.GetUtcNow();
        Span<byte> stamp = stackalloc byte[LineForm.StampLength];
        var length = _form.Stamp(now, stamp);
        var text = _form.Body(Encoding.UTF8.GetBytes($"[loom] {Lost} lines lost: {Trouble}"), LineSource.Loom, now);
        if (!Put([.. stamp[..length], .. text, (byte)'\n'], out _))
        {
            return false;
        }

        Lost = 0;
        return true;
    }

    private void WriteAll()
    {
        if (Put(_buffer.AsSpan(0, _used), out var written))
        {
            return;
        }

        var whole = _buffer.AsSpan(0, written).LastIndexOf((byte)'\n') + 1;
        Lost += _buffer.AsSpan(whole, _used - whole).Count((byte)'\n');
    }

    private bool Put(ReadOnlySpan<byte> data, out int written)
    {
        written = 0;
        fixed (byte* p = data)
        {
            while (written < data.Length)
            {
                var count = (int)Libc.Write((int)_file!.DangerousGetHandle(), p + written, (nuint)(data.Length - written));
                if (count > 0)
                {
                    written += count;
                }
                else if (Marshal.GetLastPInvokeError() != Linux.Interrupted)
                {
                    TakeBack(data[..written], Marshal.GetLastPInvokeErrorMessage());
                    return false;
                }
            }
        }

        _size += written;
        return true;
    }

    private void TakeBack(ReadOnlySpan<byte> written, string reason)
    {
        try
        {
            var whole = written.LastIndexOf((byte)'\n') + 1;
            if (whole < written.Length)
            {
                RandomAccess.SetLength(_file!, _size + whole);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            // The half line stays; the marker that follows it tells.
        }

        Refused(reason);
    }

    private void Refused(string reason)
    {
        Trouble = $"cannot write '{_path}': {reason}";
        _refusedAt = _time.GetTimestamp();
        _file?.Dispose();
        _file = null;
    }

    private void Rotate()
    {
        _file!.Dispose();
        _file = null;
        try
        {
            for (var number = _options.Keep - 1; number >= 1; number--)
            {
                if (File.Exists($"{_path}.{number}"))
                {
                    File.Move($"{_path}.{number}", $"{_path}.{number + 1}", overwrite: true);
                }
            }

            if (_options.Keep > 0)
            {
                File.Move(_path, $"{_path}.1", overwrite: true);
            }
            else
            {
                File.Delete(_path);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A folder that forbids renames gets one long log: better than lost lines.
            Trouble = $"cannot rotate '{_path}': {e.Message}";
        }
    }

    private static long Length(SafeFileHandle file)
    {
        try
        {
            return RandomAccess.GetLength(file);
        }
        catch (NotSupportedException)
        {
            return 0; // a pipe or device: nothing to rotate
        }
    }
}
