using System.Net.Http.Headers;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Web;

/// <summary>Requests of a component to addresses its policy allows, with every failure as an item error.</summary>
/// <param name="http">Transport; it follows no redirects, which could lead to a host that is not allowed.</param>
/// <param name="ctx">The component.</param>
/// <param name="limit">Longest exchange.</param>
/// <param name="maxBytes">Largest answer.</param>
internal sealed class Outgoing(HttpClient http, SetupContext ctx, TimeSpan limit, int maxBytes)
{
    /// <summary>An address as a URL that may be called.</summary>
    /// <exception cref="ItemException">It is none, or its host is not allowed.</exception>
    public Uri Address(string text)
    {
        if (!Uri.TryCreate(text, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
        {
            throw new ItemException("bad_url", $"'{Shown(text)}' is no http or https address");
        }

        return ctx.MayCall(address)
            ? address
            : throw new ItemException(
                "host_refused",
                $"{address.Host}:{address.Port} may not be called; add \"{address.Host}\" to policy.security.allow_hosts of architecture.yaml",
                ErrorClass.Configuration);
    }

    /// <summary>Sends a request and reads its answer, whatever its status.</summary>
    /// <exception cref="ItemException">There is no answer in time (transient), or it is too large.</exception>
    public async Task<Answer> SendAsync(HttpRequestMessage request, CancellationToken ct)
    {
        using var time = new CancellationTokenSource(limit, ctx.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, time.Token);
        try
        {
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, both.Token).ConfigureAwait(false);
            var body = await ReadAsync(response, both.Token).ConfigureAwait(false);
            var headers = response.Headers.Concat(response.Content.Headers).ToDictionary(h => h.Key.ToLowerInvariant(), h => string.Join(", ", h.Value), StringComparer.Ordinal);
            return new Answer((int)response.StatusCode, headers, response.Content.Headers.ContentType?.MediaType, body)
            {
                RetryAfter = HttpClasses.RetryAfter(response, ctx.Time),
                Mock = response.Headers.Contains("x-loom-mock"),
            };
        }
        catch (OperationCanceledException e) when (!ct.IsCancellationRequested)
        {
            throw new ItemException("timeout", $"{request.Method} {Shown(request.RequestUri!)} had no answer within {limit.TotalSeconds:0.#} s", ErrorClass.Transient, e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new ItemException("unreachable", $"{request.Method} {Shown(request.RequestUri!)} failed: {e.Message}", ErrorClass.Transient, e);
        }
    }

    /// <summary>The error an answer that is no success stands for.</summary>
    public static ItemException Refusal(HttpRequestMessage request, Answer answer)
    {
        var said = System.Text.Encoding.UTF8.GetString(answer.Body.AsSpan(0, Math.Min(300, answer.Body.Length)));
        return new ItemException($"http_{answer.Status}", $"{request.Method} {Shown(request.RequestUri!)} answered {answer.Status}: {said}", HttpClasses.Of(answer.Status))
        {
            RetryAfter = answer.RetryAfter,
        };
    }

    /// <summary>Sets headers made of templates.</summary>
    public static void SetHeaders(HttpRequestMessage request, IReadOnlyDictionary<string, Template> headers, in Event<JsonElement> e)
    {
        foreach (var (name, value) in headers)
        {
            var text = value.Render(e);
            if (text.AsSpan().ContainsAny('\r', '\n'))
            {
                throw new ItemException("bad_header", $"the header {name} would hold a line end");
            }

            if (name.Equals("content-type", StringComparison.OrdinalIgnoreCase))
            {
                request.Content?.Headers.ContentType = MediaTypeHeaderValue.TryParse(text, out var type) ? type : throw new ItemException("bad_header", $"'{text}' is no content type");
            }
            else if (!request.Headers.TryAddWithoutValidation(name, text))
            {
                throw new ItemException("bad_header", $"'{name}' is no request header", ErrorClass.Configuration);
            }
        }
    }

    private async Task<byte[]> ReadAsync(HttpResponseMessage response, CancellationToken ct)
    {
        await using var stream = await response.Content.ReadAsStreamAsync(ct).ConfigureAwait(false);
        using var body = new MemoryStream();
        var buffer = new byte[16 * 1024];
        while (await stream.ReadAsync(buffer, ct).ConfigureAwait(false) is var read and > 0)
        {
            if (body.Length + read > maxBytes)
            {
                throw new ItemException("answer_too_large", $"the answer is larger than max_response_bytes, {maxBytes}");
            }

            body.Write(buffer, 0, read);
        }

        return body.ToArray();
    }

    // Without the query and user part, which may hold secrets.
    private static string Shown(Uri address) => $"{address.Scheme}://{address.Host}:{address.Port}{address.AbsolutePath}";

    private static string Shown(string text) => text.Length > 80 ? text[..80] + "…" : text;
}

/// <summary>What a server answered.</summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Headers">Headers by name in small letters.</param>
/// <param name="MediaType">Type of the body, or null.</param>
/// <param name="Body">The body.</param>
internal sealed record Answer(int Status, IReadOnlyDictionary<string, string> Headers, string? MediaType, byte[] Body)
{
    /// <summary>How long the server asked to be left alone.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether a mock answered.</summary>
    public bool Mock { get; init; }

    /// <summary>Whether it is a success.</summary>
    public bool IsSuccess => Status is >= 200 and < 300;
}
