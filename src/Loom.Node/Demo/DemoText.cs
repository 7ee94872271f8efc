using System.Collections.Immutable;
using System.Text;

namespace Loom.Node.Demo;

/// <summary>The text the demo model was counted from, as paragraphs of words and punctuation marks.</summary>
internal sealed class DemoText
{
    private DemoText(ImmutableArray<ImmutableArray<string>> paragraphs) => Paragraphs = paragraphs;

    public ImmutableArray<ImmutableArray<string>> Paragraphs { get; }

    public IEnumerable<string> Words => Paragraphs.SelectMany(p => p);

    /// <summary>The text bundled with this program.</summary>
    public static DemoText Bundled()
    {
        using var stream = typeof(DemoText).Assembly.GetManifestResourceStream("Loom.Node.Demo.DemoText.txt")
            ?? throw new InvalidOperationException("the demo text is missing from this build of Loom.Node");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        return Parse(reader.ReadToEnd());
    }

    /// <summary>Splits at blank lines, then into runs of letters and single marks.</summary>
    public static DemoText Parse(string text)
    {
        var paragraphs = text.ReplaceLineEndings("\n").Split("\n\n", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return new DemoText([.. paragraphs.Select(SplitWords)]);
    }

    private static ImmutableArray<string> SplitWords(string paragraph)
    {
        var words = ImmutableArray.CreateBuilder<string>();
        for (var at = 0; at < paragraph.Length;)
        {
            var end = at + 1;
            while (char.IsAsciiLetter(paragraph[at]) && end < paragraph.Length && char.IsAsciiLetter(paragraph[end]))
            {
                end++;
            }

            if (!char.IsWhiteSpace(paragraph[at]))
            {
                words.Add(paragraph[at..end]);
            }

            at = end;
        }

        return words.ToImmutable();
    }
}
