namespace Loom.Core.Settings;

/// <summary>Urls as users write them.</summary>
internal static class UrlText
{
    /// <summary>An absolute url with one of the schemes, without its trailing slash; null for anything else.</summary>
    public static Uri? TryParse(string text, string schemes)
    {
        if (!Uri.TryCreate(text.TrimEnd('/'), UriKind.Absolute, out var url) || url.Host.Length == 0)
        {
            return null;
        }

        foreach (var scheme in schemes.AsSpan().Split(';'))
        {
            if (schemes.AsSpan(scheme).Equals(url.Scheme, StringComparison.OrdinalIgnoreCase))
            {
                return url;
            }
        }

        return null;
    }
}
