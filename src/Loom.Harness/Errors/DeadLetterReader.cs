namespace Loom.Harness.Errors;

/// <summary>Reads the letters of one component that were not retried, oldest first, holding one line at a time. A system may write meanwhile.</summary>
internal sealed class DeadLetterReader(DeadLetterFiles files, string component)
{
    private readonly List<DamagedLine> _damaged = [];

    /// <summary>Lines that could not be read, once <see cref="Read"/> has passed them.</summary>
    public IReadOnlyList<DamagedLine> Damaged => _damaged;

    /// <summary>The letters that are there now.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public IEnumerable<DeadLetter> Read()
    {
        _damaged.Clear();
        var retried = new HashSet<string>(StringComparer.Ordinal);
        var ends = new List<(string Path, long Length)>();
        foreach (var path in files.Of(component))
        {
            var length = 0L;
            foreach (var (line, end) in Lines(path, long.MaxValue))
            {
                length = end;
                if (DeadLetterLine.Read(line.Span, whole: false).Retried is { } id)
                {
                    retried.Add(id);
                }
            }

            ends.Add((path, length));
        }

        foreach (var (path, length) in ends)
        {
            var number = 0L;
            foreach (var (line, _) in Lines(path, length))
            {
                number++;
                var content = DeadLetterLine.Read(line.Span);
                if (content.Damage is { } damage)
                {
                    _damaged.Add(new DamagedLine(Path.GetFileName(path), number, damage));
                }
                else if (content.Letter is { } letter && !retried.Contains(letter.Record.ErrorId))
                {
                    yield return letter;
                }
            }
        }
    }

    // Whole lines; one without an end is being written, or was cut off: it counts once another follows.
    private static IEnumerable<(ReadOnlyMemory<byte> Line, long End)> Lines(string path, long limit)
    {
        FileStream file;
        try
        {
            file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        }
        catch (FileNotFoundException)
        {
            yield break; // purged meanwhile
        }

        using (file)
        {
            var buffer = new byte[256 * 1024];
            var (from, to, at) = (0, 0, 0L);
            while (at < limit)
            {
                var end = buffer.AsSpan(from, to - from).IndexOf((byte)'\n');
                if (end >= 0)
                {
                    at += end + 1;
                    yield return (buffer.AsMemory(from, end), at);
                    from += end + 1;
                    continue;
                }

                if (from > 0)
                {
                    buffer.AsSpan(from, to - from).CopyTo(buffer);
                    (from, to) = (0, to - from);
                }
                else if (to == buffer.Length)
                {
                    Array.Resize(ref buffer, buffer.Length * 2);
                }

                var count = file.Read(buffer, to, buffer.Length - to);
                if (count == 0)
                {
                    yield break;
                }

                to += count;
            }
        }
    }
}
