using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Loom.Wire;

namespace Loom.Node.Link;

/// <summary>What a control plane answered, or that none could be reached.</summary>
/// <param name="Status">Its status; null = not reached.</param>
/// <param name="Message">What it said, or why it could not be reached.</param>
/// <param name="NextHeartbeatMs">When it wants to hear again; with status 200 only.</param>
/// <param name="NodeTimeoutMs">After which silence it takes this node for lost; told at a registration.</param>
internal sealed record LinkAnswer(HttpStatusCode? Status, string Message, int NextHeartbeatMs = 0, int NodeTimeoutMs = 0);

/// <summary>Speaks to one control plane at a time. Never throws for what a network or a control plane does.</summary>
internal sealed class LinkClient : IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);

    private readonly HttpMessageInvoker _http;
    private readonly string? _token;
    private readonly TimeProvider _time;
    private volatile IPAddress? _local;

    public LinkClient(string? token, TimeProvider time)
    {
        _token = token;
        _time = time;
        _http = new HttpMessageInvoker(new SocketsHttpHandler
        {
            UseProxy = false, UseCookies = false, AllowAutoRedirect = false, ActivityHeadersPropagator = null, ConnectTimeout = s_patience, ConnectCallback = ConnectAsync,
        });
    }

    /// <summary>Address of this machine on the way to the control plane it last reached; null before.</summary>
    public IPAddress? LocalAddress => _local;

    /// <summary>Reaches out without saying anything, to learn <see cref="LocalAddress"/>.</summary>
    public async Task<LinkAnswer> ReachAsync(Uri controlPlane, CancellationToken cancel) =>
        await SendAsync(HttpMethod.Get, controlPlane, "/health", null, static _ => new LinkAnswer(HttpStatusCode.OK, "reached"), cancel).ConfigureAwait(false);

    public Task<LinkAnswer> RegisterAsync(Uri controlPlane, NodeRegistration registration, CancellationToken cancel) => SendAsync(
        HttpMethod.Post, controlPlane, "/v2/nodes/register", Body(registration, NodeJson.Default.NodeRegistration),
        static body => JsonSerializer.Deserialize(body, NodeJson.Default.NodeRegistered) is { } told
            ? new LinkAnswer(HttpStatusCode.OK, told.Message, told.NextHeartbeatMs, told.NodeTimeoutMs) : throw new JsonException("the answer is null"),
        cancel);

    public Task<LinkAnswer> BeatAsync(Uri controlPlane, string nodeId, NodeHeartbeat beat, CancellationToken cancel) => SendAsync(
        HttpMethod.Post, controlPlane, $"/v2/nodes/{nodeId}/heartbeat", Body(beat, NodeJson.Default.NodeHeartbeat),
        static body => JsonSerializer.Deserialize(body, NodeJson.Default.HeartbeatAnswer) is { } told
            ? new LinkAnswer(HttpStatusCode.OK, "", told.NextHeartbeatMs) : throw new JsonException("the answer is null"),
        cancel);

    public Task<LinkAnswer> LeaveAsync(Uri controlPlane, string nodeId, CancellationToken cancel) =>
        SendAsync(HttpMethod.Delete, controlPlane, $"/v2/nodes/{nodeId}", null, static _ => new LinkAnswer(HttpStatusCode.NoContent, ""), cancel);

    public void Dispose() => _http.Dispose();

    private async Task<LinkAnswer> SendAsync(HttpMethod method, Uri controlPlane, string path, byte[]? body, Func<byte[], LinkAnswer> read, CancellationToken cancel)
    {
        using var patience = new CancellationTokenSource(s_patience, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancel, patience.Token);
        using var request = new HttpRequestMessage(method, controlPlane.OriginalString.TrimEnd('/') + path);
        if (_token is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", _token);
        }

        if (body is not null)
        {
            request.Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        }

        try
        {
            using var answer = await _http.SendAsync(request, both.Token).ConfigureAwait(false);
            var bytes = await answer.Content.ReadAsByteArrayAsync(both.Token).ConfigureAwait(false);
            return answer.IsSuccessStatusCode ? read(bytes) : new LinkAnswer(answer.StatusCode, Message(bytes));
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            return new LinkAnswer(null, $"no answer within {s_patience.TotalSeconds:0} s");
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            return new LinkAnswer(null, e.GetBaseException().Message);
        }
        catch (JsonException e)
        {
            return new LinkAnswer(null, $"what answers there is no control plane of Loom: {e.Message}");
        }
    }

    private static byte[] Body<T>(T value, JsonTypeInfo<T> type) => JsonSerializer.SerializeToUtf8Bytes(value, type);

    private static string Message(byte[] body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return json.RootElement.TryGetProperty("message", out var message) ? message.GetString() ?? "" : "";
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return "";
        }
    }

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancel)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancel).ConfigureAwait(false);
            if (socket.LocalEndPoint is IPEndPoint local)
            {
                _local = local.Address.IsIPv4MappedToIPv6 ? local.Address.MapToIPv4() : local.Address;
            }

            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }
}
