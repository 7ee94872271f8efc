namespace Loom.Processes.Logs;

/// <summary>Takes terminal control sequences (ECMA-48) out of a line. A sequence cut by the line's end is dropped to that end.</summary>
internal static class Ansi
{
    private const byte Escape = 0x1B;
    private const byte Bell = 0x07;

    /// <summary>The line without its sequences; the very same bytes when it has none.</summary>
    internal static ReadOnlySpan<byte> Strip(ReadOnlySpan<byte> line)
    {
        var at = line.IndexOf(Escape);
        if (at < 0)
        {
            return line;
        }

        var kept = new byte[line.Length];
        var used = 0;
        while (at >= 0)
        {
            line[..at].CopyTo(kept.AsSpan(used));
            used += at;
            line = line[(at + Length(line[at..]))..];
            at = line.IndexOf(Escape);
        }

        line.CopyTo(kept.AsSpan(used));
        return kept.AsSpan(0, used + line.Length);
    }

    /// <summary>How many bytes the sequence takes that begins here.</summary>
    private static int Length(ReadOnlySpan<byte> text)
    {
        if (text.Length < 2)
        {
            return text.Length;
        }

        return text[1] switch
        {
            (byte)'[' => Until(text, 2, static b => b is >= 0x40 and <= 0x7E), // colours, cursor
            (byte)']' or (byte)'P' or (byte)'X' or (byte)'^' or (byte)'_' => Text(text), // titles, links and other strings
            >= 0x20 and <= 0x2F => Until(text, 2, static b => b is >= 0x30 and <= 0x7E), // character sets
            _ => 2,
        };
    }

    private static int Until(ReadOnlySpan<byte> text, int from, Func<byte, bool> isLast)
    {
        for (var i = from; i < text.Length; i++)
        {
            if (isLast(text[i]))
            {
                return i + 1;
            }
        }

        return text.Length;
    }

    /// <summary>A string sequence ends with BEL or with ESC and a backslash.</summary>
    private static int Text(ReadOnlySpan<byte> text)
    {
        for (var i = 2; i < text.Length; i++)
        {
            if (text[i] == Bell)
            {
                return i + 1;
            }

            if (text[i] == Escape)
            {
                return i + 1 < text.Length && text[i + 1] == (byte)'\\' ? i + 2 : i;
            }
        }

        return text.Length;
    }
}
