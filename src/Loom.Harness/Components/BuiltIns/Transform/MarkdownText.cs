using System.Net;
using System.Text;
using System.Text.RegularExpressions;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>
/// What a person reads of a Markdown document: headings, paragraphs, lists and code without their marks, links and images by their text. The
/// title is the one in the front matter or the first heading. Line by line, no tree.
/// </summary>
internal static partial class MarkdownText
{
    /// <summary>The text and, where there is one, the title.</summary>
    public static (string Text, string? Title) Of(string markdown)
    {
        var lines = markdown.ReplaceLineEndings("\n").Split('\n');
        var title = FrontMatter(lines, out var next);
        var text = new StringBuilder(markdown.Length);
        string? fence = null;
        for (var i = next; i < lines.Length; i++)
        {
            var line = lines[i];
            var trimmed = line.TrimStart();
            if (fence is not null)
            {
                if (trimmed.StartsWith(fence, StringComparison.Ordinal) && trimmed.Trim().TrimEnd(fence[0]).Length == 0)
                {
                    fence = null;
                }
                else
                {
                    text.Append(line).Append('\n');
                }
            }
            else if (trimmed.StartsWith("```", StringComparison.Ordinal) || trimmed.StartsWith("~~~", StringComparison.Ordinal))
            {
                fence = new string(trimmed[0], trimmed.TakeWhile(c => c == trimmed[0]).Count());
            }
            else
            {
                title ??= Heading(trimmed) ?? Underlined(lines, i);
                Line(text, trimmed, line.Length - trimmed.Length);
            }
        }

        return (Blank().Replace(text.ToString(), "\n\n").Trim('\n'), title);
    }

    private static void Line(StringBuilder text, string line, int indent)
    {
        if (Rule().IsMatch(line) || Definition().IsMatch(line) || TableRule().IsMatch(line))
        {
            return;
        }

        while (line.StartsWith('>'))
        {
            line = line[1..].TrimStart();
        }

        if (Heading(line) is { } heading)
        {
            text.Append(heading).Append("\n\n");
            return;
        }

        if (line.Length > 1 && line[0] is '*' or '+' && line[1] == ' ')
        {
            line = "- " + line[2..].TrimStart();
        }

        if (line.StartsWith('|'))
        {
            line = string.Join('\t', line.Trim().Trim('|').Split('|').Select(c => c.Trim()));
        }

        text.Append(' ', indent is > 0 and < 20 && line.StartsWith("- ", StringComparison.Ordinal) ? indent : 0).Append(Inline(line).TrimEnd()).Append('\n');
    }

    private static string Inline(string line)
    {
        if (line.AsSpan().IndexOfAny("`*_~[<&\\") < 0)
        {
            return line;
        }

        line = Image().Replace(line, "$1");
        line = Link().Replace(line, "$1");
        line = AutoLink().Replace(line, "$1");
        line = Tag().Replace(line, "");
        line = Strong().Replace(line, "$2");
        line = Emphasis().Replace(line, "$1$3");
        line = Struck().Replace(line, "$1");
        line = Code().Replace(line, "$2");
        return WebUtility.HtmlDecode(Escaped().Replace(line, "$1"));
    }

    private static string? Heading(string line)
    {
        var level = line.TakeWhile(c => c == '#').Count();
        return level is >= 1 and <= 6 && (line.Length == level || line[level] == ' ') && line.Length > level
            ? Inline(line[level..].Trim().TrimEnd('#').TrimEnd())
            : null;
    }

    private static string? Underlined(string[] lines, int index) =>
        index + 1 < lines.Length && lines[index].Trim().Length > 0 && lines[index + 1].Trim() is { Length: > 1 } under && under.Trim('=').Length == 0
            ? Inline(lines[index].Trim()) : null;

    // Between two lines of dashes at the very start; of it only a title is read.
    private static string? FrontMatter(string[] lines, out int next)
    {
        next = 0;
        if (lines[0].TrimEnd() is not ("---" or "\ufeff---"))
        {
            return null;
        }

        var end = Array.FindIndex(lines, 1, l => l.TrimEnd() is "---" or "...");
        if (end < 0)
        {
            return null;
        }

        next = end + 1;
        var title = lines[1..end].FirstOrDefault(l => l.StartsWith("title:", StringComparison.OrdinalIgnoreCase))?[6..].Trim().Trim('"', '\'');
        return string.IsNullOrEmpty(title) ? null : title;
    }

    [GeneratedRegex(@"\n{3,}", RegexOptions.None, 1000)]
    private static partial Regex Blank();

    [GeneratedRegex(@"^([-*_=])(?:\s*\1){2,}\s*$", RegexOptions.None, 1000)]
    private static partial Regex Rule();

    [GeneratedRegex(@"^\[[^\]]+\]:\s+\S+", RegexOptions.None, 1000)]
    private static partial Regex Definition();

    [GeneratedRegex(@"^\|?(?:\s*:?-{2,}:?\s*\|)+\s*(?::?-{2,}:?\s*)?$", RegexOptions.None, 1000)]
    private static partial Regex TableRule();

    [GeneratedRegex(@"!\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])", RegexOptions.None, 1000)]
    private static partial Regex Image();

    [GeneratedRegex(@"\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])", RegexOptions.None, 1000)]
    private static partial Regex Link();

    [GeneratedRegex("<((?:https?|mailto):[^>\\s]+)>", RegexOptions.None, 1000)]
    private static partial Regex AutoLink();

    [GeneratedRegex("</?[A-Za-z][^<>]*>", RegexOptions.None, 1000)]
    private static partial Regex Tag();

    [GeneratedRegex(@"(\*\*|__)(?=\S)(.+?)(?<=\S)\1", RegexOptions.None, 1000)]
    private static partial Regex Strong();

    [GeneratedRegex(@"(^|[^\w\\*])([*_])(?=\S)([^*_]+?)(?<=\S)\2(?!\w)", RegexOptions.None, 1000)]
    private static partial Regex Emphasis();

    [GeneratedRegex(@"~~(?=\S)(.+?)(?<=\S)~~", RegexOptions.None, 1000)]
    private static partial Regex Struck();

    [GeneratedRegex("(`+)(.+?)\\1", RegexOptions.None, 1000)]
    private static partial Regex Code();

    [GeneratedRegex(@"\\([\\`*_{}\[\]()#+\-.!|<>~])", RegexOptions.None, 1000)]
    private static partial Regex Escaped();
}
