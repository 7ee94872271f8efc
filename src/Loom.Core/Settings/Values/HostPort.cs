using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Loom.Core.Settings;

/// <summary>An address to listen on or to connect to.</summary>
/// <param name="Host">Host name or IP address; an IPv6 address stands without brackets.</param>
/// <param name="Port">0 to 65535; 0 = any free port.</param>
public sealed record HostPort(string Host, int Port)
{
    /// <summary>Whether only this machine can reach the address. A name other than <c>localhost</c> counts as reachable.</summary>
    public bool IsLoopback =>
        string.Equals(Host, "localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(Host, out var ip) && IPAddress.IsLoopback(ip));

    /// <summary>The address to listen on. Of a name with several the first IPv4 one: <c>localhost</c> is then what most clients try.</summary>
    /// <exception cref="SocketException">The name has no address.</exception>
    public IPEndPoint Resolve() => new(
        IPAddress.TryParse(Host, out var address) ? address : Dns.GetHostAddresses(Host).OrderBy(a => a.AddressFamily == AddressFamily.InterNetwork ? 0 : 1).First(), Port);

    /// <summary>Reads <c>host:port</c> or <c>[v6]:port</c>; null when it is neither.</summary>
    public static HostPort? TryParse(string text)
    {
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || !int.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port) || port > 65535)
        {
            return null;
        }

        var host = text[..colon];
        if (host[0] == '[')
        {
            return host.Length > 2 && host[^1] == ']' && IPAddress.TryParse(host.AsSpan(1, host.Length - 2), out _) ? new HostPort(host[1..^1], port) : null;
        }

        return Uri.CheckHostName(host) is UriHostNameType.Dns or UriHostNameType.IPv4 ? new HostPort(host, port) : null;
    }

    /// <inheritdoc/>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{(Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host)}:{Port}");
}
