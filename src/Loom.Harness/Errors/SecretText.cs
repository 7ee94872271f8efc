namespace Loom.Harness.Errors;

/// <summary>Takes secrets out of what people and files are told.</summary>
internal static class SecretText
{
    /// <param name="secrets">Values by the name they are masked with.</param>
    /// <param name="text">What is to be told.</param>
    public static string Clean(IReadOnlyDictionary<string, string> secrets, string text)
    {
        foreach (var (name, value) in secrets)
        {
            if (value.Length > 0)
            {
                text = text.Replace(value, $"[redacted:{name}]", StringComparison.Ordinal);
            }
        }

        return text;
    }
}
