using System.Buffers;
using System.Net;
using System.Runtime.ExceptionServices;
using Loom.Core.Web;
using Loom.Node.Plans;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Link;

/// <summary>
/// Passes requests of the control plane on to the engines behind this agent and streams their answers back, bytes as they come. When the control plane's
/// connection drops, the engine's is dropped at once: what it still had to say is not read.
/// </summary>
internal sealed partial class ReplicaProxy : IDisposable
{
    private const int Buffer = 16 * 1024;

    // Read whole before they are sent, so that they can be sent a second time.
    private const int MostKept = 256 * 1024;

    // Of one connection only, or said anew by each hop (RFC 9110, 7.6.1); and what opens this agent, which is nothing to an engine.
    private static readonly HashSet<string> s_ownHeaders = new(StringComparer.OrdinalIgnoreCase)
    {
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer", "Transfer-Encoding", "Upgrade", "Host",
        "Expect", "Authorization", "x-api-key", "Content-Length",
    };

    private readonly ProxiedRuns _runs;
    private readonly IServedNode _node;
    private readonly ILogger _log;
    private readonly HttpMessageInvoker _local;
    private readonly HttpMessageInvoker _fresh;
    private readonly HttpMessageInvoker _remote;

    public ReplicaProxy(ProxiedRuns runs, IServedNode node, ILogger log)
    {
        _runs = runs;
        _node = node;
        _log = log;
        _local = new HttpMessageInvoker(Handler(proxy: false, Timeout.InfiniteTimeSpan));
        // A body that is streamed cannot be sent a second time, and a connection that was never used cannot have been closed by the engine meanwhile.
        _fresh = new HttpMessageInvoker(Handler(proxy: false, TimeSpan.Zero));
        _remote = new HttpMessageInvoker(Handler(proxy: true, TimeSpan.FromMinutes(5)));
    }

    /// <summary>Forwards <c>/v2/pools/{pool}/replicas/{replica}/…</c>.</summary>
    public async Task ForwardAsync(ApiCall call)
    {
        var rest = call["rest"];
        var takesSlot = HttpMethods.IsPost(call.Http.Request.Method) && !rest.EndsWith("tokenize", StringComparison.Ordinal) && !rest.EndsWith("count_tokens", StringComparison.Ordinal);
        // Before it takes a slot: a slow sender must not hold one.
        using var body = await KeptBody.ReadAsync(call.Http.Request, MostKept, call.Gone).ConfigureAwait(false);
        var (status, run) = _runs.Enter(call["pool"], call["replica"], takesSlot);
        try
        {
            var cut = run.Cut.Token;
            using var end = CancellationTokenSource.CreateLinkedTokenSource(call.Gone, cut);
            await ForwardAsync(call, status, rest, body, cut, end.Token).ConfigureAwait(false);
        }
        finally
        {
            _runs.Leave(run, takesSlot);
        }
    }

    public void Dispose()
    {
        _local.Dispose();
        _fresh.Dispose();
        _remote.Dispose();
    }

    private async Task ForwardAsync(ApiCall call, ReplicaStatus status, string rest, KeptBody? body, CancellationToken cut, CancellationToken end)
    {
        var http = call.Http;
        try
        {
            using var answer = await SendAsync(http, status, Target(status, rest, http.Request), body, end).ConfigureAwait(false);
            if ((int)answer.StatusCode is >= 500 and not 503)
            {
                _node.ReportFault(status.Id, $"status {(int)answer.StatusCode}");
            }

            await CopyAsync(answer, http, end).ConfigureAwait(false);
        }
        catch (Exception) when (end.IsCancellationRequested)
        {
            if (call.Gone.IsCancellationRequested)
            {
                http.Abort();
            }
            else if (http.Response.HasStarted)
            {
                throw new ResponseCutException();
            }
            else if (cut.IsCancellationRequested)
            {
                throw new ProblemException(new Problem(ProblemCode.PoolUnready, $"pool '{status.Id.PoolId}' is being emptied, and the time its requests had is over", Backoff: new Backoff(1000)));
            }
        }
        catch (HttpRequestException e) when (e.InnerException is BadHttpRequestException unreadable)
        {
            // What was being passed on cannot be read: the sender's fault, not the engine's.
            ExceptionDispatchInfo.Throw(unreadable);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            LogBroken(_log, status.Id, call.RequestId, e.Message);
            _node.ReportFault(status.Id, e.Message);
            if (http.Response.HasStarted)
            {
                throw new ResponseCutException();
            }

            throw new ProblemException(new Problem(ProblemCode.WorkerReset, $"the connection to the engine of '{status.Id}' broke: {e.Message}", Backoff: new Backoff(1000)));
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpContext http, ReplicaStatus status, Uri target, KeptBody? body, CancellationToken end)
    {
        var isRemote = status.EngineKind == EngineKinds.OpenAI;
        var through = isRemote ? _remote : body is null ? _fresh : _local;
        var request = Request(http, status, target, body);
        try
        {
            return await through.SendAsync(request, end).ConfigureAwait(false);
        }
        catch (HttpRequestException e) when (!isRemote && body is not null && !end.IsCancellationRequested && request.FoundDeadConnection(e))
        {
            // A provider would count the work twice.
            LogReconnect(_log, status.Id, e.Message);
            return await through.SendAsync(Request(http, status, target, body), end).ConfigureAwait(false);
        }
    }

    // Only what engines offer to clients: its own switches are not for whoever reaches this port.
    private static Uri Target(ReplicaStatus status, string rest, HttpRequest request)
    {
        const string Base = "/v1";
        var url = status.Url!;
        if (rest.StartsWith("v1/", StringComparison.Ordinal))
        {
            return new Uri(url + rest[2..] + request.QueryString);
        }

        var isBeside = (rest is "tokenize" && HttpMethods.IsPost(request.Method)) || (rest is "slots" && HttpMethods.IsGet(request.Method));
        if (isBeside && url.EndsWith(Base, StringComparison.Ordinal))
        {
            return new Uri(url[..^Base.Length] + "/" + rest + request.QueryString);
        }

        throw new ProblemException(new Problem(ProblemCode.NotFound, $"'{rest}' is not passed on with {request.Method}; v1/…, GET slots and POST tokenize are"));
    }

    private UpstreamRequest Request(HttpContext http, ReplicaStatus status, Uri target, KeptBody? body)
    {
        var from = http.Request;
        var request = new UpstreamRequest(HttpMethod.Parse(from.Method), target);
        if (body is not null)
        {
            request.Content = HttpMethods.IsPost(from.Method) || body.Memory.Length > 0 ? new ReadOnlyMemoryContent(body.Memory) : null;
        }
        else
        {
            request.Content = new StreamContent(from.Body, Buffer);
            request.Content.Headers.ContentLength = from.ContentLength;
        }

        foreach (var (name, value) in from.Headers)
        {
            if (!s_ownHeaders.Contains(name) && !request.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value))
            {
                request.Content?.Headers.TryAddWithoutValidation(name, (IEnumerable<string?>)value);
            }
        }

        if (status.EngineKind == EngineKinds.OpenAI)
        {
            var credentials = _node.CredentialsOf(status.Id);
            foreach (var (name, value) in credentials.Headers)
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }

            if (credentials.ApiKey is { } key)
            {
                request.Headers.TryAddWithoutValidation("Authorization", "Bearer " + key);
            }
        }

        return request;
    }

    private static async Task CopyAsync(HttpResponseMessage answer, HttpContext http, CancellationToken end)
    {
        var response = http.Response;
        response.StatusCode = (int)answer.StatusCode;
        foreach (var (name, values) in answer.Headers.NonValidated)
        {
            Copy(name, values.ToString(), response.Headers);
        }

        foreach (var (name, values) in answer.Content.Headers.NonValidated)
        {
            Copy(name, values.ToString(), response.Headers);
        }

        response.Headers.ContentLength = answer.Content.Headers.ContentLength;
        // A model may think for longer than a server expects of an answer.
        http.Features.Get<IHttpMinResponseDataRateFeature>()?.MinDataRate = null;
        await response.BodyWriter.FlushAsync(end).ConfigureAwait(false);
        var body = await answer.Content.ReadAsStreamAsync(end).ConfigureAwait(false);
        var buffer = ArrayPool<byte>.Shared.Rent(Buffer);
        try
        {
            int read;
            while ((read = await body.ReadAsync(buffer, end).ConfigureAwait(false)) > 0)
            {
                response.BodyWriter.Append(buffer.AsSpan(0, read));
                await response.BodyWriter.FlushAsync(end).ConfigureAwait(false);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    // This request's id is on the answer already.
    private static void Copy(string name, string value, IHeaderDictionary to)
    {
        if (!s_ownHeaders.Contains(name) && !to.ContainsKey(name))
        {
            to[name] = value;
        }
    }

    private static SocketsHttpHandler Handler(bool proxy, TimeSpan lifetime) => new()
    {
        UseProxy = proxy,
        UseCookies = false,
        AllowAutoRedirect = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        PooledConnectionLifetime = lifetime,
        // Disposing an unfinished answer must close its connection, not read on.
        ResponseDrainTimeout = TimeSpan.Zero,
        MaxResponseDrainSize = 0,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(60),
        ConnectCallback = UpstreamRequest.ConnectAsync,
    };

    [LoggerMessage(EventId = 366, Level = LogLevel.Debug, Message = "reused connection to the engine of {Replica} had died, connecting again: {Reason}")]
    private static partial void LogReconnect(ILogger logger, ReplicaId replica, string reason);

    [LoggerMessage(EventId = 360, Level = LogLevel.Warning, Message = "connection to the engine of {Replica} broke, request {RequestId}: {Reason}")]
    private static partial void LogBroken(ILogger logger, ReplicaId replica, string requestId, string reason);
}
