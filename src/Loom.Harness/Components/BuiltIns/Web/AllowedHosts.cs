namespace Loom.Harness.Components.BuiltIns.Web;

/// <summary>Which addresses <c>policy.security.allow_hosts</c> lets a system call: <c>api.example.com</c>, <c>*.example.com</c> (its subdomains), <c>127.0.0.1:9000</c> (one port), <c>*</c> (all).</summary>
internal static class AllowedHosts
{
    /// <summary>Whether an address is among them.</summary>
    public static bool Allows(IReadOnlyList<string> allowed, Uri address)
    {
        foreach (var entry in allowed)
        {
            if (Allows(entry, address))
            {
                return true;
            }
        }

        return false;
    }

    private static bool Allows(string entry, Uri address)
    {
        if (address.Scheme is not ("http" or "https"))
        {
            return false;
        }

        var host = entry;
        // The last colon parts the port, except in an address of IP 6 without brackets.
        var colon = entry.LastIndexOf(':');
        if (colon > 0 && (entry.IndexOf(':', StringComparison.Ordinal) == colon || entry[colon - 1] == ']'))
        {
            if (!int.TryParse(entry.AsSpan(colon + 1), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out var port) || port != address.Port)
            {
                return false;
            }

            host = entry[..colon];
        }

        if (host == "*")
        {
            return true;
        }

        var asked = address.IdnHost.TrimEnd('.');
        return host.StartsWith("*.", StringComparison.Ordinal)
            ? asked.Length > host.Length - 1 && asked.EndsWith(host[1..], StringComparison.OrdinalIgnoreCase)
            : asked.Equals(host.Trim('[', ']'), StringComparison.OrdinalIgnoreCase);
    }
}
