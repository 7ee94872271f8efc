using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Loom.Core.Settings;
using Microsoft.AspNetCore.Http;

namespace Loom.Core.Web;

/// <summary>One request of a route in a <see cref="RouteTable"/>: its path values, its body and its answer.</summary>
public sealed class ApiCall
{
    private const int LongestId = 128;
    private const long LargestBody = 32 * 1024 * 1024;

    private static readonly TimeSpan s_bodyLimit = TimeSpan.FromSeconds(30);

    private readonly RouteMatch _match;
    private readonly TimeProvider _time;

    internal ApiCall(HttpContext http, RouteMatch match, string requestId, Caller caller, TimeProvider time)
    {
        Http = http;
        _match = match;
        RequestId = requestId;
        Caller = caller;
        _time = time;
    }

    /// <summary>The exchange.</summary>
    public HttpContext Http { get; }

    /// <summary>Its id, which the client's headers already bear.</summary>
    public string RequestId { get; }

    /// <summary>Who asks.</summary>
    public Caller Caller { get; }

    /// <summary>Fires when the client is gone.</summary>
    public CancellationToken Gone => Http.RequestAborted;

    /// <summary>A part of the path: 1 to 128 characters without control characters, <c>..</c> or an escaped slash; a rest (<c>{*id}</c>) may hold slashes.</summary>
    /// <exception cref="ProblemException">It is none: 400.</exception>
    public string this[string name]
    {
        get
        {
            var value = _match.Value(name);
            return value.Length is > 0 and <= LongestId && !value.Any(char.IsControl) && !value.Split('/').Any(p => p is "." or "")
                && !value.Contains("..", StringComparison.Ordinal) && !value.Contains(RouteMatch.EscapedSlash, StringComparison.OrdinalIgnoreCase)
                ? value
                : throw new ProblemException(Problem.Invalid(name, $"'{Redaction.Plain(value)}' is no {name}: 1 to {LongestId} characters without slashes and '..' are expected"));
        }
    }

    /// <summary>A value of the query, or null.</summary>
    public string? Query(string name) => Http.Request.Query.TryGetValue(name, out var value) ? value.ToString() : null;

    /// <summary>Whether a flag of the query is set: <c>?wait=true</c>.</summary>
    public bool QueryFlag(string name) => Query(name) is "true" or "1" or "";

    /// <summary>Reads the body as JSON.</summary>
    /// <param name="type">What it is.</param>
    /// <param name="strict">Refuse fields that are not known; false ignores them.</param>
    /// <param name="limit">Largest body, bytes; default 32 MiB.</param>
    /// <exception cref="ProblemException">400, 413 or 415, with the place of the error.</exception>
    public async ValueTask<T> ReadAsync<T>(JsonTypeInfo<T> type, bool strict = true, long limit = LargestBody)
    {
        var bytes = await ReadBytesAsync(limit).ConfigureAwait(false);
        return JsonBody.Read(bytes, type, strict);
    }

    /// <summary>The same, where the body may be left out.</summary>
    public async ValueTask<T> ReadOrAsync<T>(JsonTypeInfo<T> type, T absent, bool strict = true)
    {
        var bytes = await ReadBytesAsync(LargestBody, typed: false).ConfigureAwait(false);
        return bytes.Length == 0 ? absent : JsonBody.Read(bytes, type, strict);
    }

    /// <summary>Reads the body as it came.</summary>
    /// <param name="limit">Largest body, bytes.</param>
    /// <param name="typed">Whether it must be declared as JSON.</param>
    /// <exception cref="ProblemException">413 or 415.</exception>
    public async ValueTask<byte[]> ReadBytesAsync(long limit, bool typed = true)
    {
        var request = Http.Request;
        if (typed && request.ContentType is { } type && !type.StartsWith("application/json", StringComparison.OrdinalIgnoreCase)
            && !type.StartsWith("application/x-www-form-urlencoded", StringComparison.OrdinalIgnoreCase)) // what curl -d says
        {
            throw new ProblemException(new Problem(Loom.Wire.ProblemCode.UnsupportedMediaType, $"content type '{Redaction.Plain(type)}' is not read here; send application/json"));
        }

        if (request.ContentLength > limit)
        {
            throw TooLarge(limit);
        }

        return await InTimeAsync(async cancel =>
        {
            using var body = new MemoryStream();
            var buffer = new byte[16 * 1024];
            int read;
            while ((read = await request.Body.ReadAsync(buffer, cancel).ConfigureAwait(false)) > 0)
            {
                if (body.Length + read > limit)
                {
                    throw TooLarge(limit);
                }

                body.Write(buffer, 0, read);
            }

            return body.ToArray();
        }).ConfigureAwait(false);
    }

    /// <summary>Reads a body, with a limit on the time that takes.</summary>
    /// <param name="read">Reads; its token ends when the client is gone or 30 s are over.</param>
    /// <exception cref="ProblemException">408.</exception>
    public async ValueTask<T> InTimeAsync<T>(Func<CancellationToken, ValueTask<T>> read)
    {
        using var limit = new CancellationTokenSource(s_bodyLimit, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(Gone, limit.Token);
        try
        {
            return await read(both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!Gone.IsCancellationRequested)
        {
            // The rest of it may still come.
            Http.Response.Headers.Connection = "close";
            throw new ProblemException(new Problem(Loom.Wire.ProblemCode.RequestTimeout, $"the request body did not arrive within {s_bodyLimit.TotalSeconds:F0} s"));
        }
    }

    /// <summary>Answers with JSON.</summary>
    public Task WriteAsync<T>(int status, T value, JsonTypeInfo<T> type) =>
        JsonAnswer.WriteAsync(Http, status, (value, type), static (json, state) => JsonSerializer.Serialize(json, state.value, state.type));

    /// <summary>Answers with JSON written by hand.</summary>
    public Task WriteAsync<TState>(int status, TState state, Action<Utf8JsonWriter, TState> write) => JsonAnswer.WriteAsync(Http, status, state, write);

    /// <summary>Answers without a body, for example 204.</summary>
    public Task EmptyAsync(int status)
    {
        Http.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    private ProblemException TooLarge(long limit)
    {
        Http.Response.Headers.Connection = "close";
        return new ProblemException(new Problem(Loom.Wire.ProblemCode.BodyTooLarge, $"the request body is larger than {limit} bytes"));
    }
}
