using System.Text;

namespace Loom.Cli.Logs;

/// <summary>
/// One log file, of stdout or stderr, that may grow and be rotated while it is read. Only whole lines come out; a rotation is seen by the file getting shorter or another
/// file taking its name.
/// </summary>
internal sealed class LogFile(string name, string path, bool isError = false) : IDisposable
{
    // Read first from the end; when that holds too few lines, four times as much, and so on.
    private const long TailBytes = 4 * 1024 * 1024;
    private readonly StringBuilder _partial = new();
    private FileStream? _stream;
    private Decoder _decoder = Encoding.UTF8.GetDecoder();

    public string Name => name;

    /// <summary>The last lines present now, of rotated files too where the present one holds too few; following reads go on behind them.</summary>
    /// <param name="count">Most lines.</param>
    /// <param name="wanted">Lines that count; null = all.</param>
    public IReadOnlyList<LogLine> Tail(int count, Func<LogLine, bool>? wanted)
    {
        var lines = Open() ? Last(count, wanted) : [];
        for (var number = 1; lines.Count < count && File.Exists($"{path}.{number}"); number++)
        {
            using var older = new LogFile(name, $"{path}.{number}", isError);
            lines = older.Open() ? [.. older.Last(count - lines.Count, wanted), .. lines] : lines;
        }

        return lines;
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

    private IReadOnlyList<LogLine> Last(int count, Func<LogLine, bool>? wanted)
    {
        var length = _stream!.Length;
        for (var bytes = wanted is null ? TailBytes : length; ; bytes *= 4)
        {
            var from = Math.Max(0, length - bytes);
            _stream.Position = from;
            _partial.Clear();
            _decoder.Reset();
            var lines = Read(wanted, count);
            if (from > 0 && lines.Count > 0)
            {
                lines.RemoveAt(0); // cut in half
            }

            if (lines.Count >= count || from == 0)
            {
                return lines.Count > count ? lines.GetRange(lines.Count - count, count) : lines;
            }
        }
    }

    // The writer rotates by rename: our handle keeps the old file, whose length stays, while the name leads to a shorter one.
    private bool Rotated()
    {
        var current = new FileInfo(path);
        return current.Exists && current.Length < _stream!.Length;
    }

    // Keeps a little more than the last lines asked for, so that a search through large files stays small in memory.
    private List<LogLine> Read(Func<LogLine, bool>? wanted = null, int count = int.MaxValue)
    {
        var lines = new List<LogLine>();
        var bytes = new byte[64 * 1024];
        var chars = new char[64 * 1024];
        int read;
        while ((read = _stream!.Read(bytes)) > 0)
        {
            var decoded = _decoder.GetChars(bytes.AsSpan(0, read), chars, flush: false);
            foreach (var c in chars.AsSpan(0, decoded))
            {
                if (c == '\n')
                {
                    var line = LogLine.Parse(name, _partial.ToString(), isError);
                    _partial.Clear();
                    if (wanted?.Invoke(line) != false)
                    {
                        lines.Add(line);
                    }
                }
                else
                {
                    _partial.Append(c);
                }
            }

            if (count < int.MaxValue / 2 && lines.Count > 2 * (count + 1L))
            {
                lines.RemoveRange(0, lines.Count - count - 1);
            }
        }

        return lines;
    }
}
