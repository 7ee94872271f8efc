using System.Text;

namespace Loom.Cli.Logs;

/// <summary>
/// One log file that may grow and be rotated while it is read. Only whole lines come out; a rotation is seen by the file getting shorter or another
/// file taking its name.
/// </summary>
internal sealed class LogFile(string name, string path) : IDisposable
{
    // A tail of this many bytes is searched for the last lines; far more than a screen holds.
    private const long TailBytes = 4 * 1024 * 1024;
    private readonly StringBuilder _partial = new();
    private FileStream? _stream;
    private Decoder _decoder = Encoding.UTF8.GetDecoder();

    public string Name => name;

    /// <summary>The last lines present now; following reads go on behind them.</summary>
    public IReadOnlyList<LogLine> Tail(int count)
    {
        if (!Open())
        {
            return [];
        }

        var skipFirst = _stream!.Length > TailBytes;
        _stream.Position = Math.Max(0, _stream.Length - TailBytes);
        var lines = Read();
        if (skipFirst && lines.Count > 0)
        {
            lines.RemoveAt(0);
        }

        return lines.Count > count ? lines.GetRange(lines.Count - count, count) : lines;
    }

    /// <summary>Lines that came since the last call.</summary>
    public List<LogLine> More()
    {
        if (_stream is null)
        {
            return Open() ? Read() : [];
        }

        var lines = Read();
        if (Rotated())
        {
            lines.AddRange(Read());
            _stream.Dispose();
            _stream = null;
            _decoder = Encoding.UTF8.GetDecoder();
            _partial.Clear();
            if (Open())
            {
                lines.AddRange(Read());
            }
        }

        return lines;
    }

    public void Dispose() => _stream?.Dispose();

    private bool Open()
    {
        try
        {
            _stream ??= new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return true;
        }
        catch (IOException)
        {
            // Not written yet, or just rotated away: the next look finds it.
            return false;
        }
    }

    // The writer rotates by rename: our handle keeps the old file, whose length stays, while the name leads to a shorter one.
    private bool Rotated()
    {
        var current = new FileInfo(path);
        return current.Exists && current.Length < _stream!.Length;
    }

    private List<LogLine> Read()
    {
        var lines = new List<LogLine>();
        var bytes = new byte[64 * 1024];
        var chars = new char[64 * 1024];
        int read;
        while ((read = _stream!.Read(bytes)) > 0)
        {
            var count = _decoder.GetChars(bytes.AsSpan(0, read), chars, flush: false);
            foreach (var c in chars.AsSpan(0, count))
            {
                if (c == '\n')
                {
                    lines.Add(LogLine.Parse(name, _partial.ToString()));
                    _partial.Clear();
                }
                else
                {
                    _partial.Append(c);
                }
            }
        }

        return lines;
    }
}
