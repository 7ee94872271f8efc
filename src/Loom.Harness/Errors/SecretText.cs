using System.Text.Json;

namespace Loom.Harness.Errors;

/// <summary>Takes values out of texts that people and files see.</summary>
internal static class SecretText
{
    /// <summary>The text with <c>[redacted:NAME]</c> for each value, also as JSON writes it.</summary>
    /// <param name="text">What shall be seen.</param>
    /// <param name="secrets">Values that shall not, by name.</param>
    public static string In(string text, IReadOnlyDictionary<string, string> secrets)
    {
        // The longest first: a value may hold another one.
        foreach (var (name, value) in secrets.Count > 1 ? secrets.OrderByDescending(s => s.Value.Length) : (IEnumerable<KeyValuePair<string, string>>)secrets)
        {
            if (value.Length > 0)
            {
                var mask = $"[redacted:{name}]";
                text = text.Replace(value, mask, StringComparison.Ordinal)
                    .Replace(JsonEncodedText.Encode(value).Value, mask, StringComparison.Ordinal)
                    .Replace(JsonEncodedText.Encode(value, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping).Value, mask, StringComparison.Ordinal);
            }
        }

        return text;
    }
}
