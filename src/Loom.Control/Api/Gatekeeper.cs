using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Loom.Control.Admission;
using Loom.Core.Settings;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Api;

/// <summary>
/// Decides who may do what. Tokens are compared as SHA-256 digests in constant time, every known one each time, and appear in logs as the first six
/// hex digits of their digest.
/// </summary>
internal sealed partial class Gatekeeper
{
    private readonly (byte[] Digest, Scopes Scopes)[] _known;
    private readonly ApiOptions _options;
    private readonly LoginLimiter _limiter;
    private readonly bool _loopback;
    private readonly ILogger _log;

    public Gatekeeper(ApiOptions options, TimeProvider time, ILogger log)
    {
        _log = log;
        _options = options;
        _limiter = new LoginLimiter(time);
        _loopback = IPAddress.IsLoopback(options.Bind.Address);
        InferenceIsOpen = _loopback && options.Token is null;
        var known = new List<(byte[], Scopes)>();
        foreach (var token in new[] { options.Token, options.RunToken }.OfType<string>())
        {
            known.Add((SHA256.HashData(Encoding.UTF8.GetBytes(token)), Scopes.All));
        }

        known.AddRange(options.Keys.Select(k => (Convert.FromHexString(k.Sha256), k.Scopes)));
        _known = [.. known];
    }

    /// <summary>Whether inference needs no token: HOME on loopback without <c>LLORCH_API_TOKEN</c>.</summary>
    public bool InferenceIsOpen { get; }

    /// <summary>On a loopback address, refuses what a foreign web page may have sent: 403.</summary>
    public Problem? CheckSource(HttpRequest request) => _loopback ? WrongHost(request) ?? ForeignOrigin(request) : null;

    /// <summary>Null when the caller may use a route that needs this scope; else 401, 403 or 429.</summary>
    /// <param name="http">The request.</param>
    /// <param name="needed">Scope of the route; none = open to everybody.</param>
    /// <param name="pass">What the connection has shown before.</param>
    public Problem? CheckToken(HttpContext http, Scopes needed, Pass pass)
    {
        if (needed == Scopes.None || (needed == Scopes.Inference && InferenceIsOpen))
        {
            return null;
        }

        var shown = http.Request.Headers.Authorization;
        return pass.Shown is { } accepted && shown.Count == 1 && Same(shown[0], accepted)
            ? CheckScopes(pass.Scopes, needed)
            : CheckCredentials(http, needed, pass);
    }

    /// <summary>Lets pages of our own origins read the answer. True when a browser only asks beforehand what it may send.</summary>
    public bool IsPreflight(HttpContext http)
    {
        var origin = http.Request.Headers.Origin;
        if (origin.Count == 0 || !IsOwnOrigin(origin.ToString()))
        {
            return false;
        }

        http.Response.Headers.AccessControlAllowOrigin = origin;
        http.Response.Headers.Vary = "Origin";
        return HttpMethods.IsOptions(http.Request.Method);
    }

    /// <summary>Answers a preflight of an origin that was let in.</summary>
    public static Task AnswerPreflightAsync(HttpContext http)
    {
        var headers = http.Response.Headers;
        http.Response.StatusCode = StatusCodes.Status204NoContent;
        headers.AccessControlAllowMethods = "GET, POST, OPTIONS";
        headers.AccessControlAllowHeaders = "*, Authorization";
        headers.AccessControlMaxAge = "600";
        return Task.CompletedTask;
    }

    private Problem? CheckCredentials(HttpContext http, Scopes needed, Pass pass)
    {
        var address = http.Connection.RemoteIpAddress ?? IPAddress.None;
        if (_limiter.IsBlocked(address))
        {
            var text = $"more than {LoginLimiter.MostPerSecond} failed logins in one second from this address; wait and use the right token";
            return new Problem(ProblemCode.TooManyLogins, text, Backoff: new Backoff(1000));
        }

        var token = TokenOf(http.Request, out var bearer);
        if (token.IsEmpty)
        {
            _limiter.Failed(address);
            return new Problem(ProblemCode.Unauthenticated, "this route needs a token: send Authorization: Bearer <token>", SubCode: 40101);
        }

        if (ScopesOf(token) is not { } scopes)
        {
            _limiter.Failed(address);
            LogRefused(_log, address, Secret.Fingerprint(token.ToString()));
            return new Problem(ProblemCode.Unauthenticated, "the token is not known here", SubCode: 40102);
        }

        // A key in another header says nothing about what stands in Authorization.
        if (bearer && http.Request.Headers.Authorization is { Count: 1 } shown)
        {
            pass.Shown = shown[0];
            pass.Scopes = scopes;
        }

        return CheckScopes(scopes, needed);
    }

    private static Problem? CheckScopes(Scopes scopes, Scopes needed) => (scopes & needed) == needed
        ? null
        : new Problem(ProblemCode.Forbidden, $"the token lacks the scope '{needed.ToString().ToLowerInvariant()}' that this route needs", SubCode: 40301);

    private Scopes? ScopesOf(ReadOnlySpan<char> token)
    {
        const int OnStack = 512;
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> utf8 = token.Length * 3 <= OnStack ? stackalloc byte[OnStack] : new byte[token.Length * 3];
        SHA256.HashData(utf8[..Encoding.UTF8.GetBytes(token, utf8)], digest);
        Scopes? found = null;
        foreach (var (known, scopes) in _known)
        {
            // No early exit: how long this takes must not tell which token was near.
            if (CryptographicOperations.FixedTimeEquals(known, digest))
            {
                found = (found ?? Scopes.None) | scopes;
            }
        }

        return found;
    }

    /// <summary>The credentials a connection has shown and what they are worth, so that they are digested once.</summary>
    internal sealed class Pass
    {
        /// <summary>The <c>Authorization</c> header whose token was accepted; null before.</summary>
        public string? Shown { get; set; }

        /// <summary>What it may do.</summary>
        public Scopes Scopes { get; set; }
    }

    private static bool Same(ReadOnlySpan<char> shown, ReadOnlySpan<char> accepted) =>
        CryptographicOperations.FixedTimeEquals(MemoryMarshal.AsBytes(shown), MemoryMarshal.AsBytes(accepted));

    private static ReadOnlySpan<char> TokenOf(HttpRequest request, out bool bearer)
    {
        const string Scheme = "Bearer ";
        var authorization = request.Headers.Authorization.ToString();
        bearer = authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase);
        if (bearer)
        {
            return authorization.AsSpan(Scheme.Length).Trim();
        }

        return request.Path.StartsWithSegments("/v1", StringComparison.Ordinal) && request.Headers.TryGetValue("x-api-key", out var key) ? key.ToString() : [];
    }

    // A page of a foreign site can make its own name resolve to 127.0.0.1, but it cannot change the Host header that follows from it.
    private Problem? WrongHost(HttpRequest request)
    {
        var host = HostOf(request.Host.Value);
        foreach (var allowed in _options.AllowedHosts)
        {
            if (host.Equals(allowed, StringComparison.OrdinalIgnoreCase))
            {
                return null;
            }
        }

        return new Problem(ProblemCode.Forbidden, $"host '{host}' is not served on a loopback address; add it to serving.allowed_hosts if it is yours");
    }

    private Problem? ForeignOrigin(HttpRequest request)
    {
        var origin = request.Headers.Origin.ToString();
        if (origin.Length == 0 || IsOwnOrigin(origin))
        {
            return null;
        }

        return new Problem(ProblemCode.Forbidden, $"origin '{origin}' may not use this API; add it to serving.allowed_origins if it is yours");
    }

    private bool IsOwnOrigin(string origin)
    {
        foreach (var allowed in _options.AllowedOrigins)
        {
            if (origin.Equals(allowed.TrimEnd('/'), StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return Uri.TryCreate(origin, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"
            && _options.AllowedHosts.Contains(uri.IdnHost, StringComparer.OrdinalIgnoreCase);
    }

    // The port does not matter: the connection has reached this listener.
    internal static ReadOnlySpan<char> HostOf(string? value)
    {
        var host = value.AsSpan();
        if (host.StartsWith('['))
        {
            var end = host.IndexOf(']');
            return end < 0 ? host : host[1..end];
        }

        var colon = host.LastIndexOf(':');
        return colon < 0 ? host : host[..colon];
    }

    [LoggerMessage(EventId = 311, Level = LogLevel.Warning, Message = "login refused from {Address}: unknown token, token_fp6={TokenFp6}")]
    private static partial void LogRefused(ILogger logger, IPAddress address, string tokenFp6);
}
