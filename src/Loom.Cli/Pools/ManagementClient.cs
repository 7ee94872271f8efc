using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Wire;

namespace Loom.Cli.Pools;

/// <summary>Speaks to the management routes of a running control plane. What it refuses becomes a <see cref="CliError"/> with its own words.</summary>
internal sealed class ManagementClient : IDisposable
{
    // A running operation is followed for as long as it runs; a loopback address must not be led to a proxy.
    private readonly HttpClient _http;

    public ManagementClient(RunningApi api)
    {
        _http = new HttpClient(new SocketsHttpHandler { UseProxy = !api.Address.IsLoopback }) { BaseAddress = api.Address, Timeout = Timeout.InfiniteTimeSpan };
        if (api.Token is { } token)
        {
            _http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }
    }

    public void Dispose() => _http.Dispose();

    /// <summary>What a route shows.</summary>
    public async Task<JsonElement> GetAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Get, path), cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>What a route shows that is no JSON.</summary>
    public async Task<string> TextAsync(string path, CancellationToken cancellationToken)
    {
        using var response = await SendAsync(new HttpRequestMessage(HttpMethod.Get, path), cancellationToken).ConfigureAwait(false);
        return await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>The lines of a route that goes on, as they come.</summary>
    public async IAsyncEnumerable<string> LinesAsync(string path, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        using var response = await SendAsync(request, cancellationToken).ConfigureAwait(false);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false), Encoding.UTF8);
        while (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } line)
        {
            yield return line;
        }
    }

    /// <summary>Asks for a change.</summary>
    /// <param name="path">Route.</param>
    /// <param name="body">JSON; null = none.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What it shows afterwards.</returns>
    public async Task<JsonElement?> PostAsync(string path, JsonObject? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        request.Content = body is null ? null : new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        using var response = await SendAsync(request, cancellationToken).ConfigureAwait(false);
        return await ReadAsync(response, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Asks for a removal.</summary>
    /// <returns>Nothing: what is gone shows nothing.</returns>
    public async Task<JsonElement?> DeleteAsync(string path, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Delete, path);
        using var response = await SendAsync(request, cancellationToken).ConfigureAwait(false);
        return null;
    }

    /// <summary>Begins an operation and follows it: each change of it, the ended one last.</summary>
    /// <param name="path">Route that begins it.</param>
    /// <param name="body">JSON.</param>
    /// <param name="cancellationToken">Ends the following, not the operation.</param>
    public async IAsyncEnumerable<OperationStatus> OperateAsync(string path, byte[] body, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using var begun = await SendAsync(request, cancellationToken).ConfigureAwait(false);
        var id = (await ReadAsync(begun, cancellationToken).ConfigureAwait(false)).GetProperty("operation_id").GetString()!;
        using var following = new HttpRequestMessage(HttpMethod.Get, $"/v2/operations/{Uri.EscapeDataString(id)}/events");
        using var events = await SendAsync(following, cancellationToken).ConfigureAwait(false);
        using var reader = new StreamReader(await events.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false), Encoding.UTF8);
        while (await reader.ReadLineAsync(cancellationToken).ConfigureAwait(false) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                var status = JsonSerializer.Deserialize(line["data: ".Length..], NodeJson.Default.OperationStatus)!;
                yield return status;
                if (status.Ended)
                {
                    yield break;
                }
            }
        }

        throw new CliError(ExitCode.Failed, "CONNECTION_LOST", $"the control plane closed the connection before operation {id} ended", "loom status");
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        }
        catch (HttpRequestException e)
        {
            throw new CliError(ExitCode.NotRunning, "NOT_RUNNING", $"nobody answers at {_http.BaseAddress}: {e.Message}", "loom up, or name a control plane that runs with --url");
        }

        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw Refusal((int)response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken).ConfigureAwait(false));
        }
    }

    private static async Task<JsonElement> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        using var json = await JsonDocument.ParseAsync(await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false), default, cancellationToken)
            .ConfigureAwait(false);
        return json.RootElement.Clone();
    }

    private static CliError Refusal(int status, string body)
    {
        string? code = null, message = null;
        try
        {
            using var json = JsonDocument.Parse(body);
            code = json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("code", out var c) ? c.GetString() : null;
            message = json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("message", out var m) ? m.GetString() : null;
        }
        catch (JsonException)
        {
            // Somebody in between answered; the status says the rest.
        }

        return new CliError(status == 404 ? ExitCode.NotRunning : status is 400 or 401 or 403 ? ExitCode.Usage : ExitCode.Failed, code ?? "REFUSED", message ?? $"the control plane answered {status}");
    }
}
