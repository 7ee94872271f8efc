namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>
/// A pattern of paths below a folder: <c>*</c> and <c>?</c> within a name, <c>[a-z]</c> and <c>[!a-z]</c>, <c>{a,b}</c> for alternatives, <c>**</c> for any number of folders.
/// Names that begin with a dot match only where the pattern writes the dot.
/// </summary>
internal sealed class Glob
{
    private const int MostAlternatives = 1000;

    private readonly string[][] _patterns;

    private Glob(string[][] patterns) => _patterns = patterns;

    /// <summary>Whether the text has any of the characters that make it a pattern.</summary>
    public static bool IsPattern(string text) => text.AsSpan().ContainsAny("*?[{");

    /// <summary>Reads a pattern.</summary>
    /// <exception cref="FormatException">A bracket is not closed, or there are too many alternatives.</exception>
    public static Glob Parse(string pattern)
    {
        var expanded = new List<string>();
        Expand(pattern, expanded);
        return new Glob([.. expanded.Select(p => p.Split('/', StringSplitOptions.RemoveEmptyEntries))]);
    }

    /// <summary>Whether a path, relative and with slashes, is meant.</summary>
    public bool Matches(string path)
    {
        var parts = path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        foreach (var pattern in _patterns)
        {
            if (Matches(pattern, parts))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Splits a path into the folder before the first pattern character and the pattern below it.</summary>
    public static (string Folder, string Pattern) Split(string path)
    {
        var first = path.AsSpan().IndexOfAny("*?[{");
        var slash = path.LastIndexOf('/', first < 0 ? path.Length - 1 : first);
        return slash < 0 ? (".", path) : (slash == 0 ? "/" : path[..slash], path[(slash + 1)..]);
    }

    // Both with one place to go back to, the last star: a failing match takes at most the product of the lengths.
    private static bool Matches(string[] pattern, string[] parts)
    {
        int p = 0, s = 0, star = -1, from = 0;
        while (s < parts.Length)
        {
            if (p < pattern.Length && pattern[p] is "**")
            {
                star = p++;
                from = s;
            }
            else if (p < pattern.Length && MatchesName(pattern[p], parts[s]))
            {
                p++;
                s++;
            }
            else if (star >= 0 && !parts[from].StartsWith('.'))
            {
                p = star + 1;
                s = ++from;
            }
            else
            {
                return false;
            }
        }

        while (p < pattern.Length && pattern[p] is "**")
        {
            p++;
        }

        return p == pattern.Length;
    }

    private static bool MatchesName(string pattern, string name)
    {
        if (name[0] == '.' && (pattern.Length == 0 || pattern[0] != '.'))
        {
            return false;
        }

        int p = 0, s = 0, star = -1, from = 0;
        while (s < name.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                star = p++;
                from = s;
            }
            else if (p < pattern.Length && MatchesOne(pattern, p, name[s], out var next))
            {
                p = next;
                s++;
            }
            else if (star >= 0)
            {
                p = star + 1;
                s = ++from;
            }
            else
            {
                return false;
            }
        }

        while (p < pattern.Length && pattern[p] == '*')
        {
            p++;
        }

        return p == pattern.Length;
    }

    private static bool MatchesOne(string pattern, int at, char c, out int next)
    {
        next = at + 1;
        switch (pattern[at])
        {
            case '?':
                return true;
            case '[':
                var end = pattern.IndexOf(']', at + 2);
                next = end + 1;
                return InClass(pattern.AsSpan(at + 1, end - at - 1), c);
            default:
                return pattern[at] == c;
        }
    }

    private static bool InClass(ReadOnlySpan<char> set, char c)
    {
        var not = set[0] is '!' or '^';
        for (var i = not ? 1 : 0; i < set.Length; i++)
        {
            var range = i + 2 < set.Length && set[i + 1] == '-';
            if (range ? c >= set[i] && c <= set[i + 2] : c == set[i])
            {
                return !not;
            }

            i += range ? 2 : 0;
        }

        return not;
    }

    private static void Expand(string pattern, List<string> into)
    {
        var open = pattern.IndexOf('{');
        if (open < 0)
        {
            Check(pattern);
            into.Add(pattern);
            if (into.Count > MostAlternatives)
            {
                throw new FormatException($"the pattern stands for more than {MostAlternatives} others");
            }

            return;
        }

        var parts = new List<string>();
        int depth = 0, start = open + 1, at = open;
        for (; at < pattern.Length; at++)
        {
            depth += pattern[at] == '{' ? 1 : pattern[at] == '}' ? -1 : 0;
            if (depth == 0 || (depth == 1 && pattern[at] == ','))
            {
                parts.Add(pattern[start..at]);
                start = at + 1;
            }

            if (depth == 0)
            {
                break;
            }
        }

        if (depth != 0)
        {
            throw new FormatException($"the brace at {open + 1} in '{pattern}' is not closed");
        }

        foreach (var part in parts)
        {
            Expand(string.Concat(pattern.AsSpan(0, open), part, pattern.AsSpan(at + 1)), into);
        }
    }

    private static void Check(string pattern)
    {
        for (var i = 0; i < pattern.Length; i++)
        {
            if (pattern[i] != '[')
            {
                continue;
            }

            var end = i + 2 < pattern.Length ? pattern.IndexOf(']', i + 2) : -1;
            if (end < 0)
            {
                throw new FormatException($"the bracket at {i + 1} in '{pattern}' is not closed");
            }

            i = end;
        }
    }
}
