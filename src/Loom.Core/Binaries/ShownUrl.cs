namespace Loom.Core.Binaries;

/// <summary>Addresses as messages, logs and files show them: a user part or a query may be a secret.</summary>
public static class ShownUrl
{
    /// <summary>Scheme, host, port and path; <c>[redacted]</c> for the user part and the query.</summary>
    public static string Of(Uri url)
    {
        ArgumentNullException.ThrowIfNull(url);
        return !url.IsAbsoluteUri
            ? "[redacted]"
            : $"{url.Scheme}://{(url.UserInfo.Length > 0 ? "[redacted]@" : "")}{url.Authority}{url.AbsolutePath}{(url.Query.Length > 0 ? "?[redacted]" : "")}";
    }
}
