using System.Collections.Immutable;
using System.Text;

namespace Loom.Processes.Logs;

/// <summary>The last lines of a child, for error reports and for those who begin to follow: at most 1,000 lines and 1 MiB.</summary>
internal sealed class LineRing
{
    private const int MostLines = 1000;
    private const int MostBytes = 1024 * 1024;

    private readonly Lock _gate = new();
    private readonly Queue<byte[]> _lines = new();
    private int _bytes;

    internal void Add(ReadOnlySpan<byte> line)
    {
        var copy = line.ToArray();
        lock (_gate)
        {
            _lines.Enqueue(copy);
            _bytes += copy.Length;
            while (_lines.Count > MostLines || _bytes > MostBytes)
            {
                _bytes -= _lines.Dequeue().Length;
            }
        }
    }

    /// <summary>The last <paramref name="count"/> lines, oldest first; invalid UTF-8 shows as U+FFFD.</summary>
    internal ImmutableArray<string> Last(int count)
    {
        byte[][] lines;
        lock (_gate)
        {
            lines = [.. _lines.Skip(Math.Max(0, _lines.Count - count))];
        }

        return [.. lines.Select(l => Encoding.UTF8.GetString(l).TrimEnd('\r'))];
    }
}
