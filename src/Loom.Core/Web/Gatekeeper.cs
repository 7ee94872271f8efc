using System.Net;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Loom.Core.Settings;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Loom.Core.Web;

/// <summary>
/// Decides who may do what. Tokens are compared as SHA-256 digests in constant time, every known one each time, and appear in logs as the first six
/// hex digits of their digest.
/// </summary>
public sealed partial class Gatekeeper
{
    private readonly (byte[] Digest, Caller Caller)[] _known;
    private readonly GateOptions _options;
    private readonly LoginLimiter _limiter;
    private readonly bool _loopback;
    private readonly string _ownAddress;
    private readonly ILogger _log;

    /// <param name="options">Tokens and sources.</param>
    /// <param name="time">Clock of the limits on failed logins and slow bodies.</param>
    /// <param name="log">Where refusals are told, with the token's fingerprint.</param>
    public Gatekeeper(GateOptions options, TimeProvider time, ILogger log)
    {
        _log = log;
        _options = options;
        Time = time;
        _limiter = new LoginLimiter(time);
        _loopback = IPAddress.IsLoopback(options.Address);
        _ownAddress = options.Address.ToString();
        InferenceIsOpen = _loopback && options.Token is null && options.OpenInference;
        var known = new List<(byte[], Caller)>();
        foreach (var token in new[] { options.Token, options.RunToken }.OfType<string>())
        {
            known.Add((SHA256.HashData(Encoding.UTF8.GetBytes(token)), new Caller("token", Scopes.All)));
        }

        known.AddRange(options.Keys.Select(k => (Convert.FromHexString(k.Sha256), new Caller(k.Name, k.Scopes))));
        _known = [.. known];
    }

    /// <summary>Clock of the listener it guards.</summary>
    internal TimeProvider Time { get; }

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
        if (needed == Scopes.None)
        {
            return null;
        }

        var shown = http.Request.Headers.Authorization;
        var same = pass.Shown is { } accepted && shown.Count == 1 && Same(shown[0], accepted);
        if (needed == Scopes.Inference && InferenceIsOpen)
        {
            // A key is not asked for, but one that is known tells whose tasks and explanations these are.
            if (!same)
            {
                Identify(http.Request, pass);
            }

            return null;
        }

        return same && pass.Caller != Caller.Anonymous ? CheckScopes(pass.Caller.Scopes, needed) : CheckCredentials(http, needed, pass);
    }

    private void Identify(HttpRequest request, Pass pass)
    {
        var shown = request.Headers.Authorization;
        var token = TokenOf(request, out var bearer);
        pass.Caller = token.IsEmpty ? Caller.Anonymous : CallerOf(token) ?? Caller.Anonymous;
        pass.Shown = bearer && shown.Count == 1 ? shown[0] : null;
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
        headers.AccessControlAllowMethods = "GET, POST, PUT, DELETE, OPTIONS";
        headers.AccessControlAllowHeaders = "*, Authorization";
        headers.AccessControlMaxAge = "600";
        return Task.CompletedTask;
    }

    private Problem? CheckCredentials(HttpContext http, Scopes needed, Pass pass)
    {
        var address = http.Connection.RemoteIpAddress ?? IPAddress.None;
        var token = TokenOf(http.Request, out var bearer);
        if (token.IsEmpty)
        {
            // Nothing was guessed.
            return new Problem(ProblemCode.Unauthenticated, "this route needs a token: send Authorization: Bearer <token>", SubCode: 40101);
        }

        // The right token opens whatever others behind the same address have tried.
        if (CallerOf(token) is not { } caller)
        {
            if (_limiter.IsBlocked(address))
            {
                var text = $"more than {LoginLimiter.MostPerSecond} failed logins in one second from this address; wait and use the right token";
                return new Problem(ProblemCode.TooManyLogins, text, Backoff: new Backoff(1000));
            }

            _limiter.Failed(address);
            LogRefused(_log, address, Secret.Fingerprint(token.ToString()));
            return new Problem(ProblemCode.Unauthenticated, "the token is not known here", SubCode: 40102);
        }

        // A key in another header says nothing about what stands in Authorization.
        pass.Shown = bearer && http.Request.Headers.Authorization is { Count: 1 } shown ? shown[0] : null;
        pass.Caller = caller;
        return CheckScopes(caller.Scopes, needed);
    }

    private static Problem? CheckScopes(Scopes scopes, Scopes needed) => (scopes & needed) == needed
        ? null
        : new Problem(ProblemCode.Forbidden, $"the token lacks the scope '{needed.ToString().ToLowerInvariant()}' that this route needs", SubCode: 40301);

    private Caller? CallerOf(ReadOnlySpan<char> token)
    {
        const int OnStack = 512;
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        Span<byte> utf8 = token.Length * 3 <= OnStack ? stackalloc byte[OnStack] : new byte[token.Length * 3];
        SHA256.HashData(utf8[..Encoding.UTF8.GetBytes(token, utf8)], digest);
        Caller? found = null;
        foreach (var (known, caller) in _known)
        {
            // No early exit: how long this takes must not tell which token was near.
            if (CryptographicOperations.FixedTimeEquals(known, digest))
            {
                found ??= caller;
            }
        }

        return found;
    }

    /// <summary>The credentials a connection has shown and what they are worth, so that they are digested once.</summary>
    public sealed class Pass
    {
        /// <summary>The <c>Authorization</c> header that was judged last; null before.</summary>
        internal string? Shown { get; set; }

        /// <summary>Who was found behind it.</summary>
        public Caller Caller { get; internal set; } = Caller.Anonymous;
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
        // An address is no name that somebody else could make resolve to it.
        if (host.Equals(_ownAddress, StringComparison.Ordinal))
        {
            return null;
        }

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
