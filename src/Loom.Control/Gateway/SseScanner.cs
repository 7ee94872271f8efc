namespace Loom.Control.Gateway;

/// <summary>One event of a stream, as the gateway sees it.</summary>
internal enum SseEventKind
{
    /// <summary>Comments or empty lines only.</summary>
    Comment,

    /// <summary>Carries data.</summary>
    Data,

    /// <summary>Carries usage and nothing else.</summary>
    UsageOnly,

    /// <summary><c>[DONE]</c>.</summary>
    Done,
}

/// <summary>Finds events in a stream and what the gateway needs of them, in place and without building anything.</summary>
internal static class SseScanner
{
    /// <summary>
    /// Length of the first complete event of <paramref name="bytes"/>, its blank line included; 0 when none is complete. Lines end with LF or CRLF.
    /// </summary>
    public static int FirstEvent(ReadOnlySpan<byte> bytes)
    {
        var from = 0;
        while (true)
        {
            var lf = bytes[from..].IndexOf((byte)'\n');
            if (lf < 0)
            {
                return 0;
            }

            var next = from + lf + 1;
            if (next < bytes.Length && bytes[next] == '\n')
            {
                return next + 1;
            }

            if (next + 1 < bytes.Length && bytes[next] == '\r' && bytes[next + 1] == '\n')
            {
                return next + 2;
            }

            from = next;
        }
    }

    /// <summary>Classifies a complete event and reads its usage, if it has one.</summary>
    public static SseEventKind Classify(ReadOnlySpan<byte> whole, ref TokenUsage? usage)
    {
        var payload = DataOf(whole);
        if (payload.IsEmpty)
        {
            return SseEventKind.Comment;
        }

        if (payload.SequenceEqual("[DONE]"u8))
        {
            return SseEventKind.Done;
        }

        // A quoted word inside generated text is escaped there, so this finds a key, or a whole string that happens to be this word.
        var key = payload.IndexOf("\"usage\""u8);
        if (key < 0 || payload[(key + 7)..].TrimStart(" :"u8).StartsWith("null"u8) || !TokenUsage.TryRead(payload, out var counts, out var alone))
        {
            return SseEventKind.Data;
        }

        usage = usage is { } before ? before.With(counts) : counts;
        return alone ? SseEventKind.UsageOnly : SseEventKind.Data;
    }

    // The first data line; engines write one per event.
    internal static ReadOnlySpan<byte> DataOf(ReadOnlySpan<byte> whole)
    {
        while (!whole.IsEmpty)
        {
            var lf = whole.IndexOf((byte)'\n');
            var line = lf < 0 ? whole : whole[..lf];
            if (line.StartsWith("data:"u8))
            {
                return line[5..].Trim(" \r"u8);
            }

            whole = lf < 0 ? [] : whole[(lf + 1)..];
        }

        return [];
    }
}
