namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>Cuts text into pieces of a size, at the end of a paragraph, a sentence, a line or a word where one is near, each beginning with the end of the one before.</summary>
internal static class Chunker
{
    /// <summary>The pieces as places in the text, in order; together they cover all of it but blank space between them.</summary>
    /// <param name="text">The text.</param>
    /// <param name="size">Longest piece in characters (UTF-16 units), at least 1.</param>
    /// <param name="overlap">How much of a piece is said again in the next one, less than the size.</param>
    public static IEnumerable<(int Start, int Length)> Cut(string text, int size, int overlap)
    {
        var start = SkipBlank(text, 0);
        while (start < text.Length)
        {
            var end = text.Length - start <= size ? text.Length : End(text, start, size);
            var trimmed = end;
            while (trimmed > start && char.IsWhiteSpace(text[trimmed - 1]))
            {
                trimmed--;
            }

            yield return (start, trimmed - start);
            if (SkipBlank(text, end) == text.Length)
            {
                yield break;
            }

            start = Next(text, start, end, overlap);
        }
    }

    // The best place in the second half of what fits; the later of two equally good ones.
    private static int End(string text, int start, int size)
    {
        var limit = start + size;
        var least = start + Math.Max(1, size / 2);
        var (best, rank) = (limit, 0);
        for (var i = limit; i >= least; i--)
        {
            var found = Rank(text, i);
            if (found > rank)
            {
                (best, rank) = (i, found);
                if (rank == 4)
                {
                    break;
                }
            }
        }

        // No half of a pair; a pair alone is longer than a size of 1.
        return rank > 0 || !char.IsLowSurrogate(text[limit]) ? best : limit - 1 > start ? limit - 1 : limit + 1;
    }

    // How good it is to cut before this place: 4 paragraph, 3 sentence, 2 line, 1 word.
    private static int Rank(string text, int at)
    {
        if (at >= text.Length || !char.IsWhiteSpace(text[at - 1]))
        {
            return 0;
        }

        if (text[at - 1] == '\n')
        {
            return at > 1 && text[at - 2] == '\n' ? 4 : at > 1 && Sentences.IsEnd(text[at - 2]) ? 3 : 2;
        }

        return at > 1 && Sentences.IsEnd(text[at - 2]) ? 3 : 1;
    }

    // Back by the overlap, then on to the start of a word; always further than the last start.
    private static int Next(string text, int start, int end, int overlap)
    {
        var next = Math.Max(start + 1, end - overlap);
        while (next < end && !char.IsWhiteSpace(text[next - 1]))
        {
            next++;
        }

        if (next >= end)
        {
            // One long word: repeat what was asked for, but no half of a pair.
            next = Math.Max(start + 1, end - overlap);
            next += char.IsLowSurrogate(text[Math.Min(next, text.Length - 1)]) ? 1 : 0;
        }

        return SkipBlank(text, next);
    }

    private static int SkipBlank(string text, int at)
    {
        while (at < text.Length && char.IsWhiteSpace(text[at]))
        {
            at++;
        }

        return at;
    }
}
