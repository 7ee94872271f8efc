namespace Loom.Core.Settings;

/// <summary>Replaces secret values in texts by <c>[redacted:NAME]</c>. Safe for many threads.</summary>
public sealed class SecretMask
{
    /// <summary>Shorter values are let through: they would mask ordinary words.</summary>
    public const int Shortest = 8;

    private readonly (string Value, string Mask)[] _secrets;

    /// <summary>A mask over secrets by name.</summary>
    /// <param name="secrets">Values by name.</param>
    /// <param name="shortest">Characters from which a value counts.</param>
    public SecretMask(IEnumerable<KeyValuePair<string, string>> secrets, int shortest = Shortest) =>
        // Longest first: a secret that holds another one must not be left in part.
        _secrets = [.. secrets.Where(s => s.Value.Length >= shortest).OrderByDescending(s => s.Value.Length).Select(s => (s.Value, $"[redacted:{s.Key}]"))];

    /// <summary>A mask that changes nothing.</summary>
    public static SecretMask None { get; } = new([]);

    /// <summary>The text without secrets.</summary>
    public string Apply(string text)
    {
        foreach (var (value, mask) in _secrets)
        {
            text = text.Replace(value, mask, StringComparison.Ordinal);
        }

        return text;
    }
}
