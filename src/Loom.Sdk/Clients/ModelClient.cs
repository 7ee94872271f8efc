using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace Loom.Clients;

/// <summary>Talks to Loom's OpenAI-compatible API. Safe for concurrent use; owns no connection of its own beyond the given client.</summary>
public sealed class ModelClient
{
    private readonly HttpClient _http;
    private readonly Uri _base;
    private readonly string? _token;

    /// <summary>Creates a client.</summary>
    /// <param name="http">Transport; its timeout should be infinite, waits are ended by the tokens passed to the calls.</param>
    /// <param name="address">Address of the API without path, for example <c>http://127.0.0.1:8080</c>.</param>
    /// <param name="token">Bearer token, or null where the API asks for none.</param>
    public ModelClient(HttpClient http, Uri address, string? token)
    {
        _http = http;
        _base = new Uri(address, "/v1/");
        _token = token;
    }

    /// <summary>The models the API offers.</summary>
    /// <exception cref="ModelException">The API refused.</exception>
    /// <exception cref="HttpRequestException">Nobody answers at the address.</exception>
    public async Task<IReadOnlyList<ModelInfo>> ListAsync(CancellationToken cancellationToken)
    {
        using var request = Request(HttpMethod.Get, "models");
        using var response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
        await ThrowIfRefusedAsync(response, cancellationToken).ConfigureAwait(false);
        var list = await JsonSerializer.DeserializeAsync(
            await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false),
            ModelJson.Default.ModelList,
            cancellationToken).ConfigureAwait(false);
        return list?.Data ?? [];
    }

    /// <summary>Sends a chat and yields pieces of the answer as they come.</summary>
    /// <param name="chat">The request; <see cref="ChatRequest.Stream"/> is set by this call.</param>
    /// <param name="cancellationToken">Ends the request; the engine stops generating.</param>
    /// <exception cref="ModelException">The API refused, or the answer broke off.</exception>
    public async IAsyncEnumerable<string> ChatAsync(ChatRequest chat, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var request = Request(HttpMethod.Post, "chat/completions");
        request.Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(chat with { Stream = true }, ModelJson.Default.ChatRequest));
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        await ThrowIfRefusedAsync(response, cancellationToken).ConfigureAwait(false);
        var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        var done = false;
        await foreach (var item in SseParser.Create(stream).EnumerateAsync(cancellationToken).ConfigureAwait(false))
        {
            if (string.Equals(item.Data, "[DONE]", StringComparison.Ordinal))
            {
                done = true;
                break;
            }

            var chunk = JsonSerializer.Deserialize(item.Data, ModelJson.Default.ChatChunk);
            if (chunk?.Error is { } error)
            {
                throw new ModelException((int)response.StatusCode, error.Code, error.Message);
            }

            if (chunk?.Choices is [{ Delta.Content: { Length: > 0 } text }, ..])
            {
                yield return text;
            }
        }

        if (!done)
        {
            throw new ModelException((int)response.StatusCode, "cut", "the answer broke off before its end");
        }
    }

    private static async Task ThrowIfRefusedAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        if (response.IsSuccessStatusCode)
        {
            return;
        }

        var body = await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
        ChatChunk? parsed = null;
        try
        {
            parsed = JsonSerializer.Deserialize(body, ModelJson.Default.ChatChunk);
        }
        catch (JsonException)
        {
            // Not ours: a proxy or another server answered; its status says enough.
        }

        throw new ModelException((int)response.StatusCode, parsed?.Error?.Code, parsed?.Error?.Message ?? $"HTTP {(int)response.StatusCode} {response.ReasonPhrase}");
    }

    private HttpRequestMessage Request(HttpMethod method, string path)
    {
        var request = new HttpRequestMessage(method, new Uri(_base, path));
        if (_token is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _token);
        }

        return request;
    }
}

/// <summary>The API refused a request or an answer failed.</summary>
/// <param name="status">HTTP status.</param>
/// <param name="code">Problem code of the API, for example <c>model_not_found</c>; null when the answer named none.</param>
/// <param name="message">What the API said.</param>
public sealed class ModelException(int status, string? code, string message) : Exception(message)
{
    /// <summary>HTTP status.</summary>
    public int Status => status;

    /// <summary>Problem code; null when the answer named none.</summary>
    public string? Code => code;
}
