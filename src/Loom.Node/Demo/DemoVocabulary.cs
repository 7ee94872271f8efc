using System.Collections.Immutable;

namespace Loom.Node.Demo;

/// <summary>
/// The demo model's tokens: two control tokens, the 256 bytes, and every word of the text with and without the space before it. A token's class is the column of
/// the bigram table it selects; words that differ only in case or space share one, and so do all bytes that are no word.
/// </summary>
internal sealed class DemoVocabulary
{
    public const int Begin = 0;
    public const int End = 1;

    /// <summary>Class of what stands before a text or a line: the next word begins a sentence and has no space before it.</summary>
    public const int FreshClass = 0;

    /// <summary>Class of what the model has no word for: the next word begins a sentence and has a space before it.</summary>
    public const int UnknownClass = 1;

    private const int FirstByte = 2;
    private const char Space = '\u0120'; // how byte-level vocabularies write a space

    private readonly Dictionary<string, int> _ids = new(StringComparer.Ordinal);
    private readonly Dictionary<string, int> _classes = new(StringComparer.Ordinal);
    private readonly List<string> _tokens = [];
    private readonly List<int> _tokenClasses = [];

    public DemoVocabulary(IEnumerable<string> words)
    {
        var known = words.SelectMany(w => new[] { w, w.ToLowerInvariant() }).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).ToArray();
        foreach (var word in known)
        {
            _classes.TryAdd(word.ToLowerInvariant(), _classes.Count + 2);
        }

        Add("<|begin|>", FreshClass);
        Add("<|end|>", FreshClass);
        for (var value = 0; value < 256; value++)
        {
            var text = ByteText((byte)value).ToString();
            Add(text, value == '\n' ? FreshClass : _classes.GetValueOrDefault(text.ToLowerInvariant(), UnknownClass));
        }

        foreach (var word in known)
        {
            Add(word, ClassOf(word));
            if (char.IsLetter(word[0]))
            {
                Add(Space + word, ClassOf(word));
            }
        }
    }

    /// <summary>Texts by token id, in the byte-level spelling.</summary>
    public IReadOnlyList<string> Tokens => _tokens;

    /// <summary>Classes by token id.</summary>
    public IReadOnlyList<int> TokenClasses => _tokenClasses;

    public int ClassCount => _classes.Count + 2;

    public int ClassOf(string word) => _classes[word.ToLowerInvariant()];

    /// <summary>The token of <paramref name="word"/> as it stands in running text: punctuation touches the word before it, a word does not.</summary>
    public int IdInText(string word) => char.IsLetter(word[0]) ? _ids[Space + word] : _ids[word];

    /// <summary>The token of <paramref name="word"/> without a space before it.</summary>
    public int IdAtStart(string word) => _ids[word];

    /// <summary>Token types of the GGUF tokenizer: 3 is control, 1 is normal.</summary>
    public ImmutableArray<int> TokenTypes() => [.. _tokens.Select((_, id) => id < FirstByte ? 3 : 1)];

    /// <summary>The printable character that stands for a byte in byte-level vocabularies.</summary>
    private static char ByteText(byte value)
    {
        if (IsPrintable(value))
        {
            return (char)value;
        }

        var before = 0;
        for (var other = 0; other < value; other++)
        {
            before += IsPrintable((byte)other) ? 0 : 1;
        }

        return (char)(256 + before);

        static bool IsPrintable(byte b) => b is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
    }

    private void Add(string text, int @class)
    {
        if (_ids.TryAdd(text, _tokens.Count)) // one-letter words are bytes already
        {
            _tokens.Add(text);
            _tokenClasses.Add(@class);
        }
    }
}
