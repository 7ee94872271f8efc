using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Web;
using Loom.Harness.Errors;

namespace Loom.Harness.Components.BuiltIns.Models;

/// <summary>One exchange with an OpenAI-compatible address: a JSON body out, a JSON answer back, every failure with a code and a class.</summary>
internal sealed class ModelWire(HttpClient http, ModelEndpoint endpoint, TimeProvider time)
{
    private const int ShownBytes = 300;

    /// <summary>Who is asked.</summary>
    public ModelEndpoint Endpoint => endpoint;

    /// <summary>Sends a request and gives its answer.</summary>
    /// <param name="route">Below the base, for instance <c>chat/completions</c>.</param>
    /// <param name="body">The request.</param>
    /// <param name="ct">Ends it.</param>
    /// <exception cref="ItemException">It failed: configuration for 401, 403 and 404, transient for 408, 429, 5xx, a time-out or no connection, else permanent.</exception>
    public async Task<(JsonElement Answer, bool Mock)> SendAsync(string route, ReadOnlyMemory<byte> body, CancellationToken ct)
    {
        using var limit = endpoint.Timeout == Timeout.InfiniteTimeSpan ? null : new CancellationTokenSource(endpoint.Timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limit?.Token ?? default);
        try
        {
            using var request = Request(route, body);
            using var response = await http.SendAsync(request, HttpCompletionOption.ResponseContentRead, both.Token).ConfigureAwait(false);
            var answer = await response.Content.ReadAsByteArrayAsync(both.Token).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode)
            {
                throw Refusal(response, answer);
            }

            var json = Parse(answer, route);
            var mock = response.Headers.Contains("x-loom-mock") || (json.TryGetProperty("mock"u8, out var mark) && mark.ValueKind == JsonValueKind.True);
            return (json, mock);
        }
        catch (OperationCanceledException e) when (!ct.IsCancellationRequested)
        {
            throw new ItemException("timeout", $"{Shown} did not answer within {endpoint.Timeout.TotalSeconds:0.#} s", ErrorClass.Transient, e);
        }
        catch (HttpRequestException e)
        {
            throw new ItemException("model_unreachable", $"{Shown} cannot be reached: {e.Message}", ErrorClass.Transient, e);
        }
    }

    /// <summary>Something that is missing from an answer.</summary>
    public ItemException Malformed(string what) => new("bad_answer", $"{Shown} answered, but {what}", ErrorClass.Transient);

    private string Shown => $"{endpoint.Name} ({endpoint.Base.GetLeftPart(UriPartial.Path)})";

    private HttpRequestMessage Request(string route, ReadOnlyMemory<byte> body)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(endpoint.Base, route)) { Content = new ReadOnlyMemoryContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        if (endpoint.Token() is { Length: > 0 } token)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        foreach (var (name, value) in endpoint.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return request;
    }

    private JsonElement Parse(byte[] answer, string route)
    {
        try
        {
            var json = JsonElement.Parse(answer);
            return json.ValueKind == JsonValueKind.Object ? json : throw Malformed($"{route} gave {json.ValueKind.ToString().ToLowerInvariant()} instead of an object");
        }
        catch (JsonException e)
        {
            throw new ItemException("bad_answer", $"{Shown} answered something that is no JSON: {e.Message}", ErrorClass.Transient, e);
        }
    }

    private ItemException Refusal(HttpResponseMessage response, byte[] answer)
    {
        var status = (int)response.StatusCode;
        var (code, said) = Said(answer);
        if (endpoint.Token() is { Length: > 0 } token)
        {
            said = said is null ? null : SecretText.In(said, new Dictionary<string, string> { ["api_key"] = token }); // some show what they refuse
        }

        return new ItemException(code ?? CodeOf(response.StatusCode), $"{Shown} refused with {status}: {said ?? response.ReasonPhrase}", HttpClasses.Of(status))
        {
            RetryAfter = HttpClasses.RetryAfter(response, time),
        };
    }

    private static string CodeOf(HttpStatusCode status) => status switch
    {
        HttpStatusCode.Unauthorized => "unauthorized",
        HttpStatusCode.Forbidden => "forbidden",
        HttpStatusCode.NotFound => "model_not_found",
        HttpStatusCode.TooManyRequests => "too_many_requests",
        _ => $"http_{(int)status}",
    };

    // {"error": {"message": ..., "code": ...}} or {"error": "text"}, as the various servers have it.
    private static (string? Code, string? Message) Said(byte[] answer)
    {
        try
        {
            var json = JsonElement.Parse(answer);
            if (json.ValueKind == JsonValueKind.Object && json.TryGetProperty("error"u8, out var error))
            {
                return error.ValueKind == JsonValueKind.Object
                    ? (Text(error, "code"), Text(error, "message"))
                    : (null, error.ValueKind == JsonValueKind.String ? error.GetString() : null);
            }
        }
        catch (JsonException)
        {
            // A proxy answered; what it said is shown as it is.
        }

        return (null, answer.Length == 0 ? null : System.Text.Encoding.UTF8.GetString(answer.AsSpan(0, Math.Min(ShownBytes, answer.Length))));
    }

    private static string? Text(JsonElement from, string name) =>
        from.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;
}
