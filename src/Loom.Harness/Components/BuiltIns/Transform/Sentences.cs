namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>
/// Parts text into sentences by its signs: a full stop, question or exclamation mark with what closes behind it, then blank space and the start
/// of another sentence; an empty line always parts. Initials and common abbreviations do not. No dictionary, so it errs where a language does.
/// </summary>
internal static class Sentences
{
    private static readonly HashSet<string> s_abbreviations = new(StringComparer.OrdinalIgnoreCase)
    {
        "dr", "mr", "mrs", "ms", "prof", "st", "jr", "sr", "vs", "etc", "e.g", "i.e", "cf", "fig", "no", "nr", "vol", "pp", "approx", "inc", "ltd", "co", "u.s",
        "z.b", "d.h", "u.a", "bzw", "ca", "bspw", "usw", "evtl", "ggf", "abs", "art",
    };

    public static bool IsEnd(char c) => c is '.' or '!' or '?' or '\u2026' or '\u3002' or '\uff01' or '\uff1f';

    /// <summary>The sentences as places in the text, without blank space around them.</summary>
    public static IEnumerable<(int Start, int Length)> Of(string text)
    {
        var start = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var end = text[i] == '\n' && i + 1 < text.Length && NextLineIsEmpty(text, i) ? i : IsEnd(text[i]) && EndsSentence(text, start, ref i) ? i + 1 : -1;
            if (end >= 0)
            {
                if (Trim(text, start, end) is { Length: > 0 } place)
                {
                    yield return place;
                }

                start = end;
            }
        }

        if (Trim(text, start, text.Length) is { Length: > 0 } last)
        {
            yield return last;
        }
    }

    private static bool NextLineIsEmpty(string text, int newline)
    {
        for (var i = newline + 1; i < text.Length && text[i] is ' ' or '\t' or '\r' or '\n'; i++)
        {
            if (text[i] == '\n')
            {
                return true;
            }
        }

        return false;
    }

    // Moves to the last sign that belongs to the end.
    private static bool EndsSentence(string text, int start, ref int at)
    {
        var sign = at;
        while (at + 1 < text.Length && (IsEnd(text[at + 1]) || text[at + 1] is '"' or '\'' or ')' or ']' or '\u201d' or '\u2019' or '\u00bb' or '\u201c'))
        {
            at++;
        }

        if (text[sign] is '\u3002' or '\uff01' or '\uff1f' || at + 1 >= text.Length)
        {
            return true;
        }

        if (!char.IsWhiteSpace(text[at + 1]))
        {
            return false;
        }

        var next = at + 1;
        while (next < text.Length && char.IsWhiteSpace(text[next]))
        {
            next++;
        }

        if (next < text.Length && char.IsLower(text[next]))
        {
            return false;
        }

        return text[sign] != '.' || at != sign || !IsAbbreviation(text, start, sign);
    }

    private static bool IsAbbreviation(string text, int start, int stop)
    {
        var from = stop;
        while (from > start && (char.IsLetterOrDigit(text[from - 1]) || text[from - 1] == '.'))
        {
            from--;
        }

        var word = text[from..stop];
        return (word.Length == 1 && char.IsUpper(word[0])) || s_abbreviations.Contains(word);
    }

    private static (int Start, int Length) Trim(string text, int start, int end)
    {
        while (start < end && char.IsWhiteSpace(text[start]))
        {
            start++;
        }

        while (end > start && char.IsWhiteSpace(text[end - 1]))
        {
            end--;
        }

        return (start, end - start);
    }
}
