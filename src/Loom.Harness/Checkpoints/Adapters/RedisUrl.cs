using System.Globalization;
using System.Net;
using StackExchange.Redis;

namespace Loom.Harness.Checkpoints.Adapters;

/// <summary>Where a Redis is, from <c>redis://[:password@]host[:port][/db]</c> or <c>rediss://</c> for TLS. Pure.</summary>
/// <param name="Host">Name or address.</param>
/// <param name="Port">6379 by default.</param>
/// <param name="Database">0 by default.</param>
/// <param name="Tls">Whether the scheme is <c>rediss</c>.</param>
/// <param name="Password">Null = none.</param>
internal sealed record RedisUrl(string Host, int Port, int Database, bool Tls, string? Password)
{
    /// <summary>Where <c>redis_snapshot</c> looks when it is named and no URL is set.</summary>
    public const string Default = "redis://127.0.0.1:6379/0";

    /// <summary>For people: without the password.</summary>
    public string Shown => string.Create(CultureInfo.InvariantCulture, $"{(Tls ? "rediss" : "redis")}://{(Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host)}:{Port}/{Database}");

    /// <exception cref="FormatException">What is wrong with the text; the text itself, which may hold a password, is left out.</exception>
    public static RedisUrl Parse(string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var url) || url.Scheme is not ("redis" or "rediss") || url.Host.Length == 0)
        {
            throw new FormatException("a Redis URL looks like redis://:PASSWORD@HOST:6379/0 (rediss for TLS)");
        }

        var user = url.UserInfo.Split(':', 2);
        if (user[0].Length > 0 && (user.Length == 2 && user[0] != "default"))
        {
            throw new FormatException($"the Redis at {url.Host} is asked for as user '{user[0]}': only the default user can be used, with its password (redis://:PASSWORD@HOST)");
        }

        var database = 0;
        var path = url.AbsolutePath.Trim('/');
        if (path.Length > 0 && !int.TryParse(path, NumberStyles.None, CultureInfo.InvariantCulture, out database))
        {
            throw new FormatException($"the Redis URL of {url.Host} names database '{path}': a number is needed");
        }

        var password = user.Length == 2 ? user[1] : user[0];
        return new RedisUrl(
            url.IdnHost.Trim('[', ']'), url.Port > 0 ? url.Port : 6379, database, url.Scheme == "rediss", password.Length > 0 ? Uri.UnescapeDataString(password) : null);
    }

    /// <summary>Options of a connection.</summary>
    /// <param name="limit">Longest time to connect and to answer.</param>
    public ConfigurationOptions Options(TimeSpan limit)
    {
        var options = new ConfigurationOptions
        {
            AbortOnConnectFail = true,
            ConnectRetry = 1,
            ConnectTimeout = (int)limit.TotalMilliseconds,
            SyncTimeout = (int)limit.TotalMilliseconds,
            KeepAlive = 10,
            DefaultDatabase = Database,
            Ssl = Tls,
            SslHost = Tls ? Host : null,
            Password = Password,
            ClientName = "loom-state",
            AllowAdmin = false,
            TieBreaker = "",
            ConfigurationChannel = "",
        };
        options.EndPoints.Add(IPAddress.TryParse(Host, out var address) ? new IPEndPoint(address, Port) : new DnsEndPoint(Host, Port));
        return options;
    }
}
