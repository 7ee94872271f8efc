using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Loom.Core.Loops;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Nodes;

/// <summary>The way to each node: in memory to the one in this process, over HTTP to the agents of all others.</summary>
internal sealed partial class NodeLinks : INodeLink, IAsyncDisposable
{
    private static readonly TimeSpan s_probe = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_connect = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_grace = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    // An agent begins at once, and says every 15 s that it is still at it.
    private static readonly TimeSpan s_begin = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_silence = TimeSpan.FromSeconds(45);

    // An agent that says nothing for this long in the middle of an operation, however often it is asked, has taken it along.
    private static readonly TimeSpan s_taken = TimeSpan.FromSeconds(90);

    private readonly NodeDirectory _nodes;
    private readonly INodeLink? _local;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly HttpMessageInvoker _http;
    private readonly ConcurrentDictionary<string, BackgroundLoop> _probes = new(StringComparer.Ordinal);

    /// <param name="nodes">Where nodes are reached.</param>
    /// <param name="local">The node in this process; null = there is none.</param>
    /// <param name="time">Clock.</param>
    /// <param name="log">Where lost agents are told.</param>
    /// <param name="handler">What carries requests to agents; null = TCP.</param>
    public NodeLinks(NodeDirectory nodes, INodeLink? local, TimeProvider time, ILogger log, HttpMessageHandler? handler = null)
    {
        _nodes = nodes;
        _local = local;
        _time = time;
        _log = log;
        _http = new HttpMessageInvoker(handler ?? new SocketsHttpHandler
        {
            UseProxy = false, UseCookies = false, AllowAutoRedirect = false, ActivityHeadersPropagator = null, ConnectTimeout = s_connect,
        });
    }

    /// <inheritdoc/>
    public void ReportFault(ReplicaId replica, string reason)
    {
        if (_nodes.IsLocal(replica.NodeId) || !_nodes.TryAddress(replica.NodeId, out _))
        {
            _local?.ReportFault(replica, reason);
            return;
        }

        // A broken stream may be the engine's fault, of which its agent tells by itself. Whether the agent is gone is asked of the agent.
        if (_nodes.TryAddress(replica.NodeId, out var address) && !(_probes.TryGetValue(replica.NodeId, out var running) && !running.Completion.IsCompleted))
        {
            _probes[replica.NodeId] = BackgroundLoop.Start($"probe node {replica.NodeId}", cancel => ProbeAsync(replica.NodeId, address, cancel), _log);
        }
    }

    /// <inheritdoc/>
    public async Task<OperationStatus> RunAsync(string nodeId, PoolCommand command, Action<OperationStatus> progress, CancellationToken cancel)
    {
        if (_local is not null && (_nodes.IsLocal(nodeId) || !_nodes.TryAddress(nodeId, out _)))
        {
            return await _local.RunAsync(nodeId, command, progress, cancel).ConfigureAwait(false);
        }

        if (!_nodes.TryAddress(nodeId, out var address))
        {
            return Failed(command, $"there is no node '{nodeId}'");
        }

        // The agent can only break a connection; what tells a client why is cut here, just before it would.
        ITimer? cut = null;
        if (command is PoolCommand.Drain drain)
        {
            var deadline = drain.DeadlineMs is { } ms ? TimeSpan.FromMilliseconds(ms) : _nodes.Options.DrainDeadline;
            cut = _time.CreateTimer(_ => _nodes.Cut(nodeId, command.PoolId), null, deadline, Timeout.InfiniteTimeSpan);
            command = drain with { DeadlineMs = (int)(deadline + s_grace).TotalMilliseconds };
        }

        using var ends = cut;
        // Who waits for the operation must not wait for a machine that is gone.
        using var lost = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await using var look = _time.CreateTimer(_ => CancelUnlessThere(nodeId, lost), null, s_pause, s_pause).ConfigureAwait(false);
        try
        {
            return await FollowAsync(nodeId, address, command, progress, lost.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException)
        {
            return Failed(command, $"node '{nodeId}' at {address}: {e.Message}");
        }
        catch (OperationCanceledException) when (lost.IsCancellationRequested && !cancel.IsCancellationRequested)
        {
            return Failed(command, $"node '{nodeId}' at {address} is offline or was removed");
        }
    }

    private void CancelUnlessThere(string nodeId, CancellationTokenSource lost)
    {
        if (!_nodes.IsThere(nodeId))
        {
            lost.Cancel();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var probe in _probes.Values)
        {
            await probe.DisposeAsync().ConfigureAwait(false);
        }

        _http.Dispose();
    }

    private async Task ProbeAsync(string nodeId, string address, CancellationToken cancel)
    {
        using var patience = new CancellationTokenSource(s_probe, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancel, patience.Token);
        try
        {
            using var answer = await SendAsync(nodeId, HttpMethod.Get, address + "/health", null, both.Token).ConfigureAwait(false);
        }
        catch (HttpRequestException e)
        {
            _nodes.Refused(nodeId, $"{address} cannot be reached: {e.GetBaseException().Message}");
        }
        catch (OperationCanceledException)
        {
            // It hangs, or we stop. Silence is judged by its heartbeats.
        }
    }

    private async Task<OperationStatus> FollowAsync(string nodeId, string address, PoolCommand command, Action<OperationStatus> progress, CancellationToken cancel)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(command, NodeJson.Default.PoolCommand);
        var (status, text) = await BeginAsync(nodeId, $"{address}/v2/pools/{command.PoolId}/{command.Word}", body, cancel).ConfigureAwait(false);
        if (status != HttpStatusCode.Accepted)
        {
            return Failed(command, Message(text) ?? $"the agent answered with status {(int)status}") with { IsConflict = status == HttpStatusCode.Conflict };
        }

        using var accepted = JsonDocument.Parse(text);
        var id = accepted.RootElement.GetProperty("operation_id").GetString()!;
        var heardAt = _time.GetTimestamp();
        while (true)
        {
            try
            {
                if (await ReadEventsAsync(nodeId, $"{address}/v2/operations/{id}/events", progress, () => heardAt = _time.GetTimestamp(), cancel).ConfigureAwait(false) is { } ended)
                {
                    return ended;
                }

                throw new IOException("the events ended before the operation did");
            }
            catch (Exception e) when (e is HttpRequestException or IOException && _time.GetElapsedTime(heardAt) < s_taken)
            {
                LogFollow(_log, command.Word, command.PoolId, address, e.Message);
            }

            await Task.Delay(s_pause, _time, cancel).ConfigureAwait(false);
        }
    }

    private async Task<(HttpStatusCode Status, byte[] Body)> BeginAsync(string nodeId, string url, byte[] body, CancellationToken cancel)
    {
        using var patience = new CancellationTokenSource(s_begin, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancel, patience.Token);
        try
        {
            using var answer = await SendAsync(nodeId, HttpMethod.Post, url, body, both.Token).ConfigureAwait(false);
            return (answer.StatusCode, await answer.Content.ReadAsByteArrayAsync(both.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new IOException($"no answer within {s_begin.TotalSeconds:G3} s");
        }
    }

    // Null when the stream ended before the operation did.
    private async Task<OperationStatus?> ReadEventsAsync(string nodeId, string url, Action<OperationStatus> progress, Action heard, CancellationToken cancel)
    {
        using var silence = new CancellationTokenSource(s_silence, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancel, silence.Token);
        try
        {
            return await FollowEventsAsync(nodeId, url, progress, () => Heard(silence, heard), both.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new IOException($"silent for {s_silence.TotalSeconds:G3} s");
        }
    }

    private static void Heard(CancellationTokenSource silence, Action heard)
    {
        silence.CancelAfter(s_silence);
        heard();
    }

    private async Task<OperationStatus?> FollowEventsAsync(string nodeId, string url, Action<OperationStatus> progress, Action heard, CancellationToken cancel)
    {
        const string Data = "data: ";
        using var answer = await SendAsync(nodeId, HttpMethod.Get, url, null, cancel).ConfigureAwait(false);
        if (answer.StatusCode == HttpStatusCode.NotFound)
        {
            throw new JsonException("the agent does not know the operation any more; it was started anew");
        }

        answer.EnsureSuccessStatusCode();
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false));
        while (await reader.ReadLineAsync(cancel).ConfigureAwait(false) is { } line)
        {
            heard();
            if (line.StartsWith(Data, StringComparison.Ordinal) && JsonSerializer.Deserialize(line.AsSpan(Data.Length), NodeJson.Default.OperationStatus) is { } status)
            {
                progress(status);
                if (status.Ended)
                {
                    return status;
                }
            }
        }

        return null;
    }

    private async Task<HttpResponseMessage> SendAsync(string nodeId, HttpMethod method, string url, byte[]? body, CancellationToken cancel)
    {
        using var request = new HttpRequestMessage(method, url);
        foreach (var (name, value) in _nodes.HeadersOf(nodeId))
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        if (body is not null)
        {
            request.Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        }

        return await _http.SendAsync(request, cancel).ConfigureAwait(false);
    }

    private static string? Message(byte[] body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return json.RootElement.TryGetProperty("message", out var message) ? message.GetString() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static OperationStatus Failed(PoolCommand command, string error) =>
        new() { Id = Guid.CreateVersion7().ToString(), Kind = command.Word, PoolId = command.PoolId, Status = OperationState.Failed, Error = error };

    [LoggerMessage(EventId = 350, Level = LogLevel.Warning, Message = "the {Operation} of pool {PoolId} at {Address} is not heard of: {Reason}; asking again")]
    private static partial void LogFollow(ILogger logger, string operation, string poolId, string address, string reason);
}
