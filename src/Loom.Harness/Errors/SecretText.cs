using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Loom.Core.Settings;

namespace Loom.Harness.Errors;

/// <summary>Takes values out of texts that people and files see. Immutable; made once for many texts.</summary>
internal sealed class SecretText
{
    /// <summary>Texts of an event that are shorter stand for themselves alone: within a word they would mask ordinary ones.</summary>
    public const int ShortestWithin = 4;

    private readonly IReadOnlyDictionary<string, string> _secrets;
    private readonly SecretMask _within;
    private readonly (string Text, string Mask)[] _words;

    private SecretText(IReadOnlyDictionary<string, string> secrets, IReadOnlyCollection<string> texts)
    {
        _secrets = secrets;
        var named = texts.Select(static (t, i) => KeyValuePair.Create($"field {i + 1}", t)).ToList();
        _within = new SecretMask(secrets.Concat(named.Where(static t => t.Value.Length >= ShortestWithin)).SelectMany(Forms), shortest: 1);
        _words = [.. named.Where(static t => t.Value.Length is > 0 and < ShortestWithin).SelectMany(Forms).OrderByDescending(static t => t.Value.Length).Select(static t => (t.Value, $"[redacted:{t.Key}]"))];
        IsNone = secrets.Count == 0 && texts.Count == 0;
    }

    /// <summary>Changes nothing.</summary>
    public static SecretText None { get; } = new(new Dictionary<string, string>(), []);

    /// <summary>Whether there is nothing to take out.</summary>
    public bool IsNone { get; }

    /// <summary>For configured values, by name.</summary>
    public static SecretText Of(IReadOnlyDictionary<string, string> secrets) => secrets.Count == 0 ? None : new SecretText(secrets, []);

    /// <summary>The same and what an event holds that nobody is to see; of texts shorter than four characters those that stand alone, as a word or a whole.</summary>
    public SecretText And(IReadOnlyCollection<string> texts) => texts.Count == 0 ? this : new SecretText(_secrets, texts);

    /// <summary>The text with <c>[redacted:NAME]</c> for each value, also as JSON writes it.</summary>
    public string In(string text)
    {
        text = _within.Apply(text);
        foreach (var (word, mask) in _words)
        {
            text = Replace(text, word, mask);
        }

        return text;
    }

    /// <summary>Whether a text holds anything that is to be taken out.</summary>
    public bool IsIn(string text) => !IsNone && In(text) != text;

    /// <summary>The same for one text.</summary>
    /// <param name="text">What shall be seen.</param>
    /// <param name="secrets">Values that shall not, by name.</param>
    public static string In(string text, IReadOnlyDictionary<string, string> secrets) => Of(secrets).In(text);

    private static IEnumerable<KeyValuePair<string, string>> Forms(KeyValuePair<string, string> secret) =>
        new[] { secret.Value, JsonEncodedText.Encode(secret.Value).Value, JsonEncodedText.Encode(secret.Value, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).Value }
            .Distinct()
            .Select(form => KeyValuePair.Create(secret.Key, form));

    private static bool IsMasked(string text, int at) =>
        text.LastIndexOf("[redacted:", at, StringComparison.Ordinal) is >= 0 and var open && text.IndexOf(']', open) > at;

    private static string Replace(string text, string word, string mask)
    {
        var at = text.IndexOf(word, StringComparison.Ordinal);
        if (at < 0)
        {
            return text;
        }

        var (made, from) = (new StringBuilder(text.Length + mask.Length), 0);
        for (; at >= 0; at = text.IndexOf(word, at, StringComparison.Ordinal))
        {
            var end = at + word.Length;
            var goesOn = (at > 0 && char.IsLetterOrDigit(text[at - 1]) && char.IsLetterOrDigit(word[0]))
                || (end < text.Length && char.IsLetterOrDigit(text[end]) && char.IsLetterOrDigit(word[^1]))
                || IsMasked(text, at);
            if (goesOn)
            {
                at++;
                continue;
            }

            made.Append(text, from, at - from).Append(mask);
            at = from = end;
        }

        return made.Append(text, from, text.Length - from).ToString();
    }
}
