using System.Text.Encodings.Web;
using System.Text.Json;
using Loom.Core.Settings;

namespace Loom.Harness.Errors;

/// <summary>Takes values out of texts that people and files see.</summary>
internal static class SecretText
{
    /// <summary>The text with <c>[redacted:NAME]</c> for each value, also as JSON writes it.</summary>
    /// <param name="text">What shall be seen.</param>
    /// <param name="secrets">Values that shall not, by name.</param>
    public static string In(string text, IReadOnlyDictionary<string, string> secrets) =>
        secrets.Count == 0 ? text : new SecretMask(secrets.SelectMany(Forms), shortest: 1).Apply(text);

    private static IEnumerable<KeyValuePair<string, string>> Forms(KeyValuePair<string, string> secret) =>
        new[] { secret.Value, JsonEncodedText.Encode(secret.Value).Value, JsonEncodedText.Encode(secret.Value, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).Value }
            .Distinct()
            .Select(form => KeyValuePair.Create(secret.Key, form));
}
